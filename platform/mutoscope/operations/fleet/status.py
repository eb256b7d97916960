"""What the fleet's file wants against the workers that report themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from generation.workers import Seen, memory
from mutoscope.ages import ago
from mutoscope.operations.fleet.file import ANY_HOST, Fleet, Slot

MISSING = "missing"
DRAINED = "drained"


@dataclass(frozen=True, slots=True)
class Line:
    """One worker that is wanted, or runs, or both."""

    wanted: Slot | None
    found: Seen | None

    @property
    def state(self) -> str:
        """What the worker says of itself; `drained` or `missing` for one that is wanted and does not run."""
        if self.found and self.found.is_alive:
            return str(self.found.worker.state)
        return DRAINED if self.found and self.found.worker.drain_requested_at else MISSING

    @property
    def note(self) -> str:
        """What the operator ought to know beside that."""
        worker = self.found.worker if self.found else None
        if self.wanted is None:
            return "not in the file"
        if self.state == MISSING:
            return (worker and worker.last_error) or ("never seen" if worker is None else "")
        if worker and self.state != DRAINED and tuple(worker.lanes) != self.wanted.lanes:
            return f"the file wants {_short(self.wanted.model, self.wanted.lanes)}"
        return ""


def compare(fleet: Fleet, seen: Sequence[Seen], this_host: str) -> list[Line]:
    """A line for each worker that the file wants, and for each that runs without being in it.

    A worker is the one that is wanted when it has its name; or, where it was started by hand, its host, model,
    GPU and lanes. `*` in the file means this host, and each other that is not named and where a worker runs.
    """
    left = {one.worker.name: one for one in seen}
    slots = [slot for host in _hosts(fleet, seen, this_host) for slot in fleet.slots(host)]
    found = {slot: left.pop(slot.worker_name, None) for slot in slots}
    for slot in slots:
        by_name = found[slot]
        if by_name is None or not by_name.is_alive:
            by_hand = next((one for one in left.values() if one.is_alive and _does_the_work(one, slot)), None)
            if by_hand:
                found[slot] = left.pop(by_hand.worker.name)
    lines = [Line(slot, found[slot]) for slot in slots]
    return lines + [Line(None, one) for one in left.values() if one.is_alive]


def is_complete(lines: Iterable[Line]) -> bool:
    """Whether every worker that is wanted runs, or has been drained by an operator."""
    return all(line.state != MISSING for line in lines)


def as_json(lines: Iterable[Line]) -> list[dict[str, Any]]:
    """The lines for programs; ages are in seconds, memory in MiB."""
    return [_object(line) for line in lines]


def as_table(lines: Iterable[Line]) -> str:
    """The lines for people."""
    head = ("HOST", "GPU", "WORKER", "LANES", "STATE", "JOB", "STEP", "VRAM MiB", "LAST CLAIM", "SEEN", "NOTE")
    rows = [head, *(_cells(line) for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _hosts(fleet: Fleet, seen: Sequence[Seen], this_host: str) -> list[str]:
    named = [host for host in fleet.hosts if host != ANY_HOST]
    if ANY_HOST not in fleet.hosts:
        return named
    others = {one.worker.host for one in seen if one.is_alive} | {this_host}
    return named + sorted(others.difference(named))


def _does_the_work(one: Seen, slot: Slot) -> bool:
    worker = one.worker
    return (worker.host, worker.model, worker.gpu, tuple(worker.lanes)) == (
        slot.host,
        slot.model,
        slot.gpu,
        slot.lanes,
    )


def _object(line: Line) -> dict[str, Any]:
    slot, worker = line.wanted, line.found.worker if line.found else None
    what = slot or worker
    assert what is not None  # noqa: S101  a line has one or the other
    runs = worker if line.found and line.found.is_alive else None
    return {
        "worker": worker.name if worker else slot and slot.worker_name,
        "host": what.host,
        "gpu": what.gpu,
        "gpu_name": worker.gpu_name if worker else "",
        "model": what.model,
        "lanes": list(runs.lanes if runs else what.lanes),
        "wanted": slot is not None,
        "state": line.state,
        "job": str(runs.job_id) if runs and runs.job_id else None,
        "step": runs.step if runs else 0,
        "steps": runs.steps if runs else 0,
        "vram_used_mib": runs.vram_used_mib if runs else None,
        "vram_total_mib": worker.vram_total_mib if worker else None,
        "claimed_ago": _seconds(line.found.claimed_ago if line.found else None),
        "seen_ago": _seconds(line.found.seen_ago if line.found else None),
        "engine_starts": worker.engine_starts if worker else 0,
        "last_error": worker.last_error if worker else "",
        "note": line.note,
    }


def _cells(line: Line) -> tuple[str, ...]:
    told = _object(line)
    return (
        told["host"],
        told["gpu"] or "–",
        told["worker"].removesuffix(f"@{told['host']}"),
        _short(told["model"], told["lanes"]),
        told["state"],
        told["job"] or "–",
        f"{told['step']}/{told['steps']}" if told["job"] else "–",
        memory(told["vram_used_mib"], told["vram_total_mib"]),
        ago(line.found.claimed_ago if line.found else None),
        ago(line.found.seen_ago if line.found else None),
        line.note,
    )


def _short(model: str, lanes: Iterable[str]) -> str:
    """The lanes' tiers, as their model stands beside them."""
    return ",".join(lane.removeprefix(f"{model}.") for lane in lanes)


def _seconds(age: timedelta | None) -> float | None:
    return None if age is None else round(age.total_seconds(), 1)
