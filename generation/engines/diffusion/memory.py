"""Memory plans: what of a pipeline lies on the GPU, and in which precision, from the heaviest to the lightest.

- `full`: every part, always.
- `lean`: every part but the text encoders, which come to the GPU only to encode.
- `fp8`: as `lean`, and the denoiser's linear layers hold their weights in 8 bits (see `quantise`).
- `offload`: the denoiser's blocks come to the GPU one group after the other, the next one while this one works;
  text encoders as in `lean`. The picture is that of `full`.
- `tiled`: as `offload`, and the clip is decoded in tiles, whose seams are blended.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from diffusers.hooks import apply_group_offloading

from generation.engines.base import EngineError
from generation.engines.diffusion.denoising import DENOISERS, denoisers_of
from generation.engines.diffusion.quantise import quantise

log = logging.getLogger(__name__)

PINNED_SHARE = 0.5
"""Of the main memory that is free: no more of it is pinned, for pinned memory cannot be swapped out."""
ALLOCATOR_VARIABLES = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
"""By which people tell PyTorch how to keep the GPU's memory."""
CGROUP = Path("/sys/fs/cgroup")
TEXT_ENCODERS = ("text_encoder", "text_encoder_2", "text_encoder_3")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a plan does without."""

    text_encoders_stay: bool = False
    eight_bits: bool = False
    streams_blocks: bool = False
    decodes_in_tiles: bool = False


PLANS = {
    "full": Plan(text_encoders_stay=True),
    "lean": Plan(),
    "fp8": Plan(eight_bits=True),
    "offload": Plan(streams_blocks=True),
    "tiled": Plan(streams_blocks=True, decodes_in_tiles=True),
}


def keep_in_one_piece() -> None:
    """Have the GPU's memory that sizes of all kinds cut into pieces put together again.

    All that is taken from now on, and unless the environment says how memory is kept. By a call and not by one of
    the variables: those are read when CUDA wakes up, which it does where some packages are imported (peft).
    """
    if not any(name in os.environ for name in ALLOCATOR_VARIABLES):
        torch._C._accelerator_setAllocatorSettings("expandable_segments:True")


def plan_called(name: str) -> Plan:
    """The plan; an empty name is `full`. Raises `EngineError` for one that is not known."""
    try:
        return PLANS[name or "full"]
    except KeyError:
        known = ", ".join(PLANS)
        raise EngineError(
            "plan_unknown", f"the memory plan must be one of {known}, but is {name!r}", "ours"
        ) from None


def arrange(pipe: Any, plan: Plan, device: torch.device) -> str:
    """Bring a pipeline, just loaded into main memory, to where the plan wants it. It cannot be taken back.

    Returns how the weights were quantised, empty where they were not.
    """
    denoisers = denoisers_of(pipe)
    quantised = ""
    if plan.eight_bits:
        quantised = quantise(denoisers, device)
    pins = plan.streams_blocks and _can_pin(denoisers)
    for name, part in pipe.components.items():
        if not isinstance(part, torch.nn.Module) or (name in TEXT_ENCODERS and not plan.text_encoders_stay):
            continue
        if name in DENOISERS and plan.streams_blocks:
            _stream_blocks(part, device, pins=pins)
        else:
            part.to(device)
    if plan.decodes_in_tiles and hasattr(pipe.vae, "tile_sample_min_height"):
        pipe.vae.enable_tiling()
    pin_device(pipe, device)
    return quantised


@contextmanager
def on_device(pipe: Any, plan: Plan, device: torch.device) -> Iterator[None]:
    """While this is open, the text encoders are where they can encode."""
    encoders = [getattr(pipe, name, None) for name in TEXT_ENCODERS]
    away = [] if plan.text_encoders_stay else [part for part in encoders if part is not None]
    try:
        with ExitStack() as lent:
            for part in away:
                lent.enter_context(_lent(part, device))
            yield
    finally:
        if away and device.type == "cuda":
            torch.cuda.empty_cache()


@contextmanager
def _lent(part: torch.nn.Module, device: torch.device) -> Iterator[None]:
    """While this is open, the part is on the device. Its weights stay in main memory, too: only the way there
    costs time."""
    at_home = [
        (module._parameters, name, parameter, parameter.data)
        for module in part.modules()
        for name, parameter in module._parameters.items()
        if parameter is not None
    ]
    try:
        part.to(device)
        yield
    finally:
        for parameters, name, parameter, weights in at_home:
            parameters[name], parameter.data = parameter, weights
        part.to("cpu")  # its buffers


def _stream_blocks(part: torch.nn.Module, device: torch.device, *, pins: bool) -> None:
    """Leaf by leaf: every denoiser has leaves, not every one has blocks that diffusers knows."""
    streams = device.type == "cuda"
    apply_group_offloading(
        part,
        onload_device=device,
        offload_device=torch.device("cpu"),
        offload_type="leaf_level",
        use_stream=streams,
        record_stream=streams,  # without it the GPU is waited for at every leaf
        low_cpu_mem_usage=streams and not pins,
    )


def _can_pin(denoisers: list[Any]) -> bool:
    """Whether the denoisers' weights may be pinned in main memory: twice as fast, and there all the time."""
    sizes = [weights.nbytes for denoiser in denoisers for weights in denoiser.parameters()]
    needed = sum(1 << (size - 1).bit_length() for size in sizes if size)  # PyTorch rounds up to powers of two
    free = _free_main_memory() + sum(sizes)  # they are in main memory already
    pins: bool = needed <= PINNED_SHARE * free
    if not pins:
        gib = 2**30
        log.warning("weights of %.0f GiB are not pinned: %.0f GiB of memory are free", needed / gib, free / gib)
    return pins


def _free_main_memory() -> int:
    """Bytes that this process may still take: what is free, or what its container is allowed."""
    free: int = psutil.virtual_memory().available
    try:
        limit, used = ((CGROUP / name).read_text().strip() for name in ("memory.max", "memory.current"))
    except OSError:
        return free
    return free if limit == "max" else min(free, max(0, int(limit) - int(used)))


def pin_device(pipe: Any, device: torch.device) -> None:
    """Have the pipeline make its latents on the device: left alone it asks whichever part comes first."""
    kind = type(pipe)
    pipe.__class__ = type(kind.__name__, (kind,), {"_execution_device": device, "__module__": kind.__module__})
