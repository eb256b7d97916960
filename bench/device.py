"""The GPU that is measured: what it is, what it has in use, how fast it multiplies."""

from __future__ import annotations

import gc
import statistics
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import diffusers
import torch

GIB = 2**30
PACKAGES = ("transformers", "torchao", "fa3-fwd", "triton", "accelerate")
DATASHEET_FLOPS = 989e12
"""Of an H100 SXM in bf16, without sparsity: what its maker says."""


def has_gpu() -> bool:
    """Whether there is one."""
    return torch.cuda.is_available()


def wait_for_gpu() -> None:
    """Until it has done whatever it was told to do."""
    if has_gpu():
        torch.cuda.synchronize()


def now() -> float:
    """Seconds, once the GPU has nothing left to do."""
    wait_for_gpu()
    return time.perf_counter()


def reset_peak() -> None:
    """Forget what was in use until now."""
    if has_gpu():
        torch.cuda.reset_peak_memory_stats()


def peak() -> float:
    """GiB of the GPU's memory that were in use at once; 0 where there is no GPU."""
    return torch.cuda.max_memory_allocated() / GIB if has_gpu() else 0.0


def peak_reserved() -> float:
    """GiB that PyTorch held at once, with what lay idle between uses."""
    return torch.cuda.max_memory_reserved() / GIB if has_gpu() else 0.0


def is_in_one_piece() -> bool:
    """Whether all of the memory that PyTorch holds just now is kept so that pieces are put together again."""
    return has_gpu() and all(segment["is_expandable"] for segment in torch.cuda.memory_snapshot())


def free_memory() -> None:
    """Give back what nothing refers to any more."""
    gc.collect()
    if has_gpu():
        torch.cuda.empty_cache()


def machine() -> dict[str, Any]:
    """What the figures are of."""
    return {
        "gpu": torch.cuda.get_device_name() if has_gpu() else "none",
        "gpu_gib": torch.cuda.get_device_properties(0).total_memory / GIB if has_gpu() else 0.0,
        "torch": str(torch.__version__),
        "diffusers": diffusers.__version__,
        **{name: version_of(name) for name in PACKAGES},
    }


def version_of(package: str) -> str:
    """Of an installed package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def bf16_peak(side: int = 8192, times: int = 30) -> float:
    """Operations a second that this machine reaches in a product of two large random bf16 matrices."""
    device = torch.device("cuda" if has_gpu() else "cpu")
    side = side if has_gpu() else 256
    left, right = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    seconds = []
    for _ in range(times):
        began = now()
        left @ right
        seconds.append(now() - began)
    return 2 * side**3 / statistics.median(seconds[times // 3 :])
