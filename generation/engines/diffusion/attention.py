"""Which attention kernel is used: the fastest right one that the machine has, found by trying, once at load.

- `native`: PyTorch's, by its own order of preference.
- `flash`, `cudnn`: PyTorch's, this one first; calls that it cannot do, such as some with masks, take the next.
- `fa3`: FlashAttention-3 from the wheel `fa3-fwd`, where the model lets one choose its attention and a call has no
  mask; every other call takes the best of PyTorch's.

All are exact attention, apart from the order in which bf16 is rounded. On the CPU there is only `native`.
"""

from __future__ import annotations

import logging
import math
import statistics
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from diffusers.models.attention_dispatch import (
    AttentionBackendName,
    _AttentionBackendRegistry,
    dispatch_attention_fn,
)
from torch.nn.attention import SDPBackend, sdpa_kernel

from generation.engines.base import EngineError

log = logging.getLogger(__name__)

ORDERS: dict[str, list[SDPBackend]] = {
    "native": [],
    "cudnn": [
        SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH,
    ],
    "flash": [
        SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH,
    ],
}  # fmt: skip
"""Orders of preference among PyTorch's kernels; an empty one is as PyTorch has it."""
KERNELS = ("fa3", *ORDERS)
"""What can be asked for by name."""
PREFERRED = ("fa3", "cudnn", "flash", "native")
CLEARLY_FASTER = 1.15
"""A kernel less preferred must be faster by this factor, so that machines of one type agree: a checkpoint goes on
with the kernel that it was made with."""
LARGEST_ERROR = 0.01
"""Relative, against attention in fp32. bf16's own rounding is about 0.003."""
TRIED_TOKENS, TIMED_TOKENS = 1111, 16384
HOPPER = (9, 0)

# The member of diffusers' closed list of names that our function is registered under. Its own package is another.
_FA3 = AttentionBackendName._FLASH_3


@dataclass(frozen=True, slots=True)
class Attention:
    """What was chosen: FlashAttention-3 or not, and the order of PyTorch's kernels for everything else."""

    flash_3: bool = False
    order: str = "native"

    def apply(self, denoisers: Iterable[torch.nn.Module]) -> str:
        """Have the denoisers use it; returns what is really used, such as `cudnn` or `fa3+cudnn`."""
        # CogVideoX's and SVD's processors have no such attribute: they call PyTorch's attention themselves.
        processors = [
            module.processor
            for denoiser in denoisers
            for module in denoiser.modules()
            if hasattr(getattr(module, "processor", None), "_attention_backend")
        ]
        if not (self.flash_3 and processors):
            return self.order
        _AttentionBackendRegistry.register(_FA3)(_flash_3_where_possible)
        for processor in processors:
            processor._attention_backend = _FA3
        return f"fa3+{self.order}"

    @contextmanager
    def preferred(self) -> Iterator[None]:
        """While this is open, PyTorch's own attention prefers kernels in the chosen order."""
        if not ORDERS[self.order]:
            yield
            return
        with sdpa_kernel(ORDERS[self.order], set_priority=True):
            yield


def choose(device: torch.device, denoiser: Any, wish: str = "") -> Attention:
    """The fastest right kernel for this GPU and the denoiser's heads, or the one that is wished for.

    Raises `EngineError` (machine) for one that is not known, or not there.
    """
    if wish and wish not in KERNELS:
        known = ", ".join(KERNELS)
        raise EngineError("attention_unknown", f"attention must be one of {known}, but is {wish!r}", "machine")
    if wish == "fa3" and not has_flash_3(device):
        raise EngineError(
            "attention_missing",
            "attention is to be fa3, but it needs a GPU of the Hopper generation and the package fa3-fwd",
            "machine",
        )
    if wish and wish != "fa3":
        return Attention(order=wish)
    if device.type != "cuda":
        return Attention()
    seconds = probe(device, *_heads_of(denoiser))
    log.info("seconds of attention, by kernel: %s", seconds)
    if wish and wish not in seconds:
        raise EngineError("attention_missing", f"attention is to be {wish}, but that is not right here", "machine")
    order = _best({name: taken for name, taken in seconds.items() if name in ORDERS})
    return Attention(flash_3=wish == "fa3" or _best(seconds) == "fa3", order=order)


def has_flash_3(device: torch.device) -> bool:
    """Whether FlashAttention-3 can run here: its kernels are made for Hopper."""
    return (
        device.type == "cuda"
        and torch.cuda.get_device_capability(device) == HOPPER
        and find_spec("fa3_fwd_interface") is not None
    )


def probe(device: torch.device, heads: int, width: int) -> dict[str, float]:
    """Seconds of one attention by each kernel that is there and right, for `heads` heads of `width` in bf16."""
    names = ["fa3", *ORDERS] if has_flash_3(device) else list(ORDERS)
    seconds = {}
    for name in names:
        try:
            error = _error(name, device, heads, width)
            if error <= LARGEST_ERROR:
                seconds[name] = _seconds(name, device, heads, width)
            else:
                log.warning("attention by %s is wrong here: its relative error is %.3g", name, error)
        except (RuntimeError, ImportError, OSError) as reason:  # OSError: a library built for another PyTorch
            log.warning("attention by %s does not work here: %s", name, reason)
    torch.cuda.empty_cache()
    return seconds


# --- FlashAttention-3 ----------------------------------------------------------------------------------------


@torch.library.custom_op("mutoscope::flash_attention_3", mutates_args=())  # type: ignore[untyped-decorator]
def flash_attention_3(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float, causal: bool
) -> torch.Tensor:
    """Attention of batch × tokens × heads × width, in bf16. To torch.compile it is one operation."""
    from fa3_fwd_interface import flash_attn_func  # a wheel that only some machines have, and of many kernels

    out: torch.Tensor = flash_attn_func(query, key, value, softmax_scale=scale, causal=causal)
    return out


@flash_attention_3.register_fake  # type: ignore[untyped-decorator]
def _(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float, causal: bool) -> torch.Tensor:
    return query.new_empty(*query.shape[:-1], value.shape[-1])


def _flash_3_where_possible(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    """What diffusers calls. FlashAttention-3 knows no masks, and this build of it nothing but bf16."""
    if attn_mask is not None or dropout_p or query.dtype != torch.bfloat16:
        out: torch.Tensor = dispatch_attention_fn(
            query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa,
            backend=AttentionBackendName.NATIVE,
        )  # fmt: skip
        return out
    return flash_attention_3(query, key, value, scale or 1 / math.sqrt(query.shape[-1]), is_causal)


# --- Trying --------------------------------------------------------------------------------------------------


def _best(seconds: dict[str, float]) -> str:
    """The first of the preferred that none beats clearly."""
    fastest = min(seconds.values(), default=0.0)
    close = [name for name in PREFERRED if name in seconds and seconds[name] <= fastest * CLEARLY_FASTER]
    return close[0] if close else "native"


def _heads_of(denoiser: Any) -> tuple[int, int]:
    """Heads and their width; where a model's parts differ, those of most video models."""
    heads = denoiser.config.get("num_attention_heads")
    width = denoiser.config.get("attention_head_dim")
    return (heads, width) if isinstance(heads, int) and isinstance(width, int) else (24, 128)


def _attend(name: str, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """By this kernel and no other. Raises RuntimeError where it cannot."""
    if name == "fa3":
        return flash_attention_3(query, key, value, 1 / math.sqrt(query.shape[-1]), False)
    swapped = [part.transpose(1, 2) for part in (query, key, value)]
    if name == "native":
        return torch.nn.functional.scaled_dot_product_attention(*swapped).transpose(1, 2)
    with sdpa_kernel(ORDERS[name][0]):
        return torch.nn.functional.scaled_dot_product_attention(*swapped).transpose(1, 2)


def _error(name: str, device: torch.device, heads: int, width: int) -> float:
    """The relative error against fp32, for a number of tokens that is no multiple of any tile."""
    parts = _random(device, TRIED_TOKENS, heads, width)
    query, key, value = (part.float().transpose(1, 2) for part in parts)
    with sdpa_kernel(SDPBackend.MATH):
        exact = torch.nn.functional.scaled_dot_product_attention(query, key, value).transpose(1, 2)
    off = _attend(name, *parts).float() - exact
    return float(off.norm() / exact.norm())


def _seconds(name: str, device: torch.device, heads: int, width: int) -> float:
    parts = _random(device, TIMED_TOKENS, heads, width)
    taken = []
    for _ in range(7):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        _attend(name, *parts)
        end.record()
        end.synchronize()
        taken.append(start.elapsed_time(end) / 1000)
    middle: float = statistics.median(taken[2:])  # the first two choose and load kernels
    return middle


def _random(device: torch.device, tokens: int, heads: int, width: int) -> list[torch.Tensor]:
    generator = torch.Generator(device).manual_seed(0)
    shape, kind = (1, tokens, heads, width), {"dtype": torch.bfloat16, "device": device}
    return [torch.randn(shape, generator=generator, **kind) for _ in range(3)]
