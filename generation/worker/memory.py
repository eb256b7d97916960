"""Memory of the engine process: one that grows from job to job is started again before it brings others down."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import psutil

from generation.catalog.schema import Model
from generation.engines.base import KEPT_ADAPTERS_MIB

MIB = 2**20

VramOf = Callable[[Collection[int]], int | None]
"""MiB of GPU memory that processes (by id) hold; None where it cannot be told."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """MiB that a process and its children hold."""

    main: int
    gpu: int

    def growth_since(self, baseline: Footprint) -> int:
        """The larger one of both growths, in MiB."""
        return max(self.main - baseline.main, self.gpu - baseline.gpu)


def footprint(pid: int, vram_of: VramOf | None = None) -> Footprint:
    """What the process holds now. Raises psutil.NoSuchProcess."""
    process = psutil.Process(pid)
    family = [process, *process.children(recursive=True)]
    gpu = vram_of([member.pid for member in family]) if vram_of else None
    return Footprint(sum(_own_memory(member) for member in family) // MIB, gpu or 0)


def _own_memory(process: psutil.Process) -> int:
    """Bytes that are the process's alone, nearly: without mapped weights, libraries and the frames' ring.

    Not `memory_full_info`: it walks all mappings, which takes a process with gigabytes of weights a good while.
    """
    memory = process.memory_info()
    return int(memory.rss - getattr(memory, "shared", 0))


def growth_allowed(model: Model) -> int:
    """MiB by which the model's engine may grow before it is started again: adapters come with jobs, and stay."""
    kept = KEPT_ADAPTERS_MIB if model.lora or model.adapters else 0
    of_presets = round(sum(adapter.gib for adapter in model.adapters) * 1024)
    return model.supervision.memory_growth_mib + kept + of_presets


class DriftWatch:
    """Tells when an engine has grown by more than `limit_mib` since its first job."""

    def __init__(self, limit_mib: int, vram_of: VramOf | None = None) -> None:
        self._limit, self._vram_of = limit_mib, vram_of
        self._pid: int | None = None
        self._baseline: Footprint | None = None

    def growth(self, pid: int) -> int:
        """MiB by which the process has grown since it was first asked about; 0 the first time."""
        try:
            now = footprint(pid, self._vram_of)
        except psutil.Error:
            return 0
        if pid != self._pid or self._baseline is None:
            self._pid, self._baseline = pid, now
        return now.growth_since(self._baseline)

    def has_drifted(self, pid: int) -> bool:
        """Whether it has grown by more than it may."""
        return self.growth(pid) > self._limit
