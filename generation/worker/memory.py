"""Memory of the engine process: one that grows from job to job is started again before it brings others down."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass

import psutil

from generation.catalog.schema import Model
from generation.engines.base import KEPT_ADAPTERS_MIB

log = logging.getLogger(__name__)

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
    main = _own_memory(process) + sum(_memory_of_child(child) for child in family[1:])
    return Footprint(main // MIB, gpu or 0)


def _own_memory(process: psutil.Process) -> int:
    """Bytes that are the process's alone, nearly: without mapped weights, libraries and the frames' ring.

    Not `memory_full_info`: it walks all mappings, which takes a process with gigabytes of weights a good while.
    """
    memory = process.memory_info()
    return int(memory.rss - getattr(memory, "shared", 0))


def _memory_of_child(process: psutil.Process) -> int:
    """Bytes that would be free if the process ended; none where it has.

    What a fork has in common with its parent does not count: PyTorch's compiler forks a process for each core, and
    `_own_memory` would find in each of them the same 220 MiB.
    """
    try:
        return int(process.memory_full_info().uss)
    except psutil.NoSuchProcess:
        return 0


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

    def has_drifted(self, pid: int) -> bool:
        """Whether the process has grown by more than it may since it was first asked about."""
        try:
            now = footprint(pid, self._vram_of)
        except psutil.Error:
            return False
        if pid != self._pid or self._baseline is None:
            self._pid, self._baseline = pid, now
        has = now.growth_since(self._baseline) > self._limit
        if has:
            log.warning(
                "the engine may grow by %d MiB, but held %s and holds %s", self._limit, self._baseline, now
            )
        return has
