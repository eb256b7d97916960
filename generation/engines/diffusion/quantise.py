"""Weights in 8 bits: half the memory, and on GPUs with 8-bit arithmetic more speed.

Only the repeated blocks are quantised, and neither their norms nor what turns time and words into numbers: those
are small, and a picture suffers most from errors in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

import torch
from diffusers.hooks import apply_layerwise_casting

from generation.engines.diffusion.blocks import repeated_blocks

EIGHT_BIT_ARITHMETIC = (8, 9)
"""The compute capability from which NVIDIA's GPUs multiply in fp8: Ada and Hopper."""
SPARED = ("norm", "embed", "time_emb", "time_mixer", "modulation")
"""Layers whose names have one of these in them."""
MULTIPLE = 16
"""GPUs multiply matrices in fp8 whose sides are multiples of this."""


def quantise(modules: Iterable[Any], device: torch.device) -> str:
    """Hold the weights of the blocks in fp8 (e4m3); returns how.

    `dynamic`: activations are quantised row by row, too, and multiplied in 8 bits; the layers are on the device
    then, and never more than one of them was there in full. `layerwise`, where the GPU cannot, or torchao is not
    installed: weights are stored in 8 bits, and cast as they are used.
    """
    denoisers = [module for module in modules if module is not None]
    dynamic = (
        device.type == "cuda"
        and torch.cuda.get_device_capability(device) >= EIGHT_BIT_ARITHMETIC
        and find_spec("torchao") is not None
        and all(denoiser.dtype == torch.bfloat16 for denoiser in denoisers)  # torchao has no other for rows
    )
    for denoiser in denoisers:
        for _, block in repeated_blocks(denoiser):
            if dynamic:
                quantise_dynamically(block, device)
            else:
                _store_in_eight_bits(block)
    return "dynamic" if dynamic else "layerwise"


def quantise_dynamically(block: torch.nn.Module, device: torch.device) -> None:
    """By torchao, one layer after the other."""
    from torchao.quantization import Float8DynamicActivationFloat8WeightConfig, PerRow, quantize_

    # torchao is imported here, not above: it takes seconds, and most workers never need it.
    quantize_(
        block,
        # Its settings for the compiler would have it try kernels for minutes (107 s for LTX 2B on an H100, which
        # takes 7 s without), and round fp32 products everywhere in the process.
        Float8DynamicActivationFloat8WeightConfig(granularity=PerRow(), set_inductor_config=False),
        filter_fn=_can_be_multiplied,
        device=device,
    )


def _can_be_multiplied(part: torch.nn.Module, name: str) -> bool:
    return (
        isinstance(part, torch.nn.Linear)
        and not re.search("|".join(SPARED), name)
        and part.in_features % MULTIPLE == 0
        and part.out_features % MULTIPLE == 0
    )


def _store_in_eight_bits(block: torch.nn.Module) -> None:
    linear = next(part for part in block.modules() if isinstance(part, (torch.nn.Linear, torch.nn.Conv2d)))
    apply_layerwise_casting(
        block,
        storage_dtype=torch.float8_e4m3fn,
        compute_dtype=linear.weight.dtype,
        skip_modules_pattern=SPARED,
    )
