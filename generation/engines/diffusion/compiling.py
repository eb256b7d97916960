"""The repeated blocks of denoisers, compiled: one block is, and all others that are alike run the same code.

What was compiled is kept in a folder, so that a restarted worker only has to read it. Nothing is compiled on the
CPU, nor where blocks come and go (`streams_blocks`) or cast their weights layer by layer: there Python runs
between any two layers, and there would be little left to compile.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from generation.engines.diffusion.blocks import repeated_blocks

log = logging.getLogger(__name__)

MOST_VARIANTS = 64
"""Of one block: by kinds of block, by guidance with and without, by adapters. Past it blocks run as they are."""


def keep_compiled_code(folder: Path) -> None:
    """Have compiled code kept in `folder`, and read from there. To be called before anything is compiled.

    PyTorch itself looks whether what it finds there is for this version, this GPU and this code.
    """
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "inductor")
    os.environ["TRITON_CACHE_DIR"] = str(folder / "triton")


def can_compile(device: torch.device) -> bool:
    """Whether this machine has what compiling takes: found out by compiling next to nothing."""
    if device.type != "cuda":
        return False
    try:
        doubled = torch.compile(lambda number: number * 2 + 1)(torch.ones(8, device=device))
        return bool((doubled == 3).all())
    except Exception as reason:  # noqa: BLE001 - whatever a missing compiler or a broken Triton raises
        log.warning("nothing is compiled, since this machine cannot: %s", reason)
        return False


def compile_blocks(denoisers: Iterable[torch.nn.Module]) -> None:
    """Compile the blocks when they are first called. To be called last: what is changed later is compiled anew.

    Sizes are taken for fixed at first; the first time one differs, the block is compiled once more, for all sizes.
    """
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, MOST_VARIANTS)
    torch._inductor.config.fx_graph_cache = True
    torch._functorch.config.enable_autograd_cache = True
    for denoiser in denoisers:
        for _, block in repeated_blocks(denoiser):
            # `forward`, and not the module: hooks that a step cache puts around it later stay outside.
            block.forward = torch.compile(block.forward)


def forget() -> None:
    """Let go of compiled code, and of what it holds on to. What is kept on the disk stays there."""
    torch._dynamo.reset()


def is_compiled(part: Any) -> bool:
    """Whether blocks of this part have been compiled here."""
    return any(hasattr(block.forward, "get_compiler_config") for _, block in repeated_blocks(part))
