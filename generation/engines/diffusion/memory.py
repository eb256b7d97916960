"""Memory plans: what of a pipeline lies on the GPU, and in which precision, from the heaviest to the lightest.

- `full`: every part, always.
- `lean`: every part but the text encoders, which come to the GPU only to encode.
- `fp8`: as `lean`, and the denoiser's linear layers hold their weights in 8 bits (see `quantise`).
- `offload`: the denoiser's blocks come to the GPU one group after the other, the next one while this one works;
  text encoders as in `lean`. The picture is that of `full`.
- `tiled`: as `offload`, and the clip is decoded in tiles, whose seams are blended.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.hooks import apply_group_offloading

from generation.engines.base import EngineError
from generation.engines.diffusion.denoising import DENOISERS
from generation.engines.diffusion.quantise import quantise

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
    quantised = ""
    if plan.eight_bits:
        quantised = quantise([getattr(pipe, name, None) for name in DENOISERS], device)
    for name, part in pipe.components.items():
        if not isinstance(part, torch.nn.Module) or (name in TEXT_ENCODERS and not plan.text_encoders_stay):
            continue
        if name in DENOISERS and plan.streams_blocks:
            _stream_blocks(part, device)
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
    for part in away:
        part.to(device)
    try:
        yield
    finally:
        for part in away:
            part.to("cpu")
        if away and device.type == "cuda":
            torch.cuda.empty_cache()


def _stream_blocks(part: torch.nn.Module, device: torch.device) -> None:
    """Leaf by leaf: every denoiser has leaves, not every one has blocks that diffusers knows."""
    apply_group_offloading(
        part,
        onload_device=device,
        offload_device=torch.device("cpu"),
        offload_type="leaf_level",
        use_stream=device.type == "cuda",
    )


def pin_device(pipe: Any, device: torch.device) -> None:
    """Have the pipeline make its latents on the device: left alone it asks whichever part comes first."""
    kind = type(pipe)
    pipe.__class__ = type(kind.__name__, (kind,), {"_execution_device": device, "__module__": kind.__module__})
