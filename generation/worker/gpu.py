"""Facts about the GPUs of this machine, read through NVIDIA's management library (NVML).

NVML looks from outside: no CUDA context is made and no GPU memory is taken, so a worker's parent may ask at any
time. A machine without NVIDIA's driver has no GPUs.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, TypeVar

log = logging.getLogger(__name__)

MIB = 2**20

T = TypeVar("T")


class UnknownGpu(Exception):
    """This machine has no such GPU; the message lists those that it has."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU, as it was when it was looked at.

    `index` counts in the order of the PCI bus, as `nvidia-smi` does. Memory is in MiB, and None where the driver
    does not tell (on machines whose GPU shares the main memory).
    """

    index: int
    uuid: str
    name: str
    total_mib: int | None
    used_mib: int | None

    def __str__(self) -> str:
        memory = f", {self.total_mib} MiB" if self.total_mib else ""
        return f"{self.index} ({self.name}{memory}, {self.uuid})"


def gpus() -> list[Gpu]:
    """Every GPU of this machine, by index; none where there is no NVIDIA driver."""
    nvml = _nvml()
    if nvml is None:
        return []
    found = (_told(nvml, partial(_look_at, nvml, index)) for index in range(nvml.nvmlDeviceGetCount()))
    return [gpu for gpu in found if gpu is not None]  # one that has fallen off the bus is there no more


def find(which: str) -> Gpu:
    """The GPU with this index or UUID, as it is now. Raises `UnknownGpu`."""
    there = gpus()
    for gpu in there:
        if which in {str(gpu.index), gpu.uuid}:
            return gpu
    if not there:
        raise UnknownGpu(f"this machine has no GPU that NVIDIA's driver knows, so there is no GPU {which}")
    raise UnknownGpu(f"this machine has no GPU {which}; it has {'; '.join(map(str, there))}")


def only_one() -> Gpu | None:
    """This machine's GPU, for a worker to which none was named; None where there is none.

    Raises `UnknownGpu` where there are several: a second worker would find the first one's memory taken.
    """
    there = gpus()
    if len(there) > 1:
        raise UnknownGpu(f"this machine has several GPUs; choose one with --gpu: {'; '.join(map(str, there))}")
    return there[0] if there else None


def in_use(index: int) -> int | None:
    """MiB of the GPU's memory in use now, whoever uses it; None where the driver does not tell."""
    nvml = _nvml()
    memory = nvml and _memory(nvml, index)
    return int(memory.used) // MIB if memory else None


def used_by(index: int, pids: Collection[int]) -> int | None:
    """MiB of the GPU's memory that the processes hold together; None where none of them is known to hold any.

    The driver counts processes as the host does: from within a container of its own process numbers, no process
    is found.
    """
    nvml = _nvml()
    if nvml is None:
        return None
    running = _told(nvml, lambda: nvml.nvmlDeviceGetComputeRunningProcesses(_handle(nvml, index))) or ()
    held = [int(one.usedGpuMemory) for one in running if one.pid in pids and one.usedGpuMemory is not None]
    return sum(held) // MIB if held else None


def show_only(gpu: Gpu) -> None:
    """Have the processes that this one starts see no other GPU. By UUID: CUDA may count in another order."""
    os.environ["CUDA_VISIBLE_DEVICES"] = gpu.uuid


@cache
def _nvml() -> Any:
    """The library, ready for use, for as long as this process runs; None where there is no driver."""
    import pynvml  # here, not above: processes that are no workers never pay for it

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        log.debug("no GPU: %s", error)
        return None
    return pynvml


def _look_at(nvml: Any, index: int) -> Gpu:
    handle = _handle(nvml, index)
    memory = _memory(nvml, index)
    return Gpu(
        index=index,
        uuid=str(nvml.nvmlDeviceGetUUID(handle)),
        name=str(nvml.nvmlDeviceGetName(handle)),
        total_mib=int(memory.total) // MIB if memory else None,
        used_mib=int(memory.used) // MIB if memory else None,
    )


def _handle(nvml: Any, index: int) -> Any:
    return nvml.nvmlDeviceGetHandleByIndex(index)


def _memory(nvml: Any, index: int) -> Any:
    return _told(nvml, lambda: nvml.nvmlDeviceGetMemoryInfo(_handle(nvml, index)))


def _told(nvml: Any, ask: Callable[[], T]) -> T | None:
    """The driver's answer; None where it has none: not for this kind of GPU, or the GPU is lost."""
    try:
        return ask()
    except nvml.NVMLError as error:
        log.debug("the NVIDIA driver does not tell: %s", error)
        return None
