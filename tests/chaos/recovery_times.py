"""How long jobs took to recover from a fault of the worker that had them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from generation.models import Attempt, JobEvent
from tests.chaos.faults import Happened
from tests.chaos.setting import LEASE, pid_of
from tests.chaos.stories import Breach, Story

SLACK = 5.0
"""Seconds beyond the lease within which a job must be back in its lane."""


@dataclass(frozen=True)
class Recovery:
    """One attempt that a fault ended: seconds from the fault until its job waited, and was claimed, again."""

    fault: Happened
    story: Story
    attempt: int
    until_back: float
    until_claimed: float | None
    disturbed: bool
    """A service was away meanwhile."""

    def breaches(self) -> list[Breach]:
        if self.disturbed or self.until_back <= LEASE + SLACK:
            return []
        return [
            Breach(
                "wrong",
                f"{self.story.told}: attempt {self.attempt} was hit by {self.fault.name} ({self.fault.hit}), and "
                f"was back in its lane after {self.until_back:.1f} s, more than the lease of {LEASE:g} s and "
                f"{SLACK:g} s",
            )
        ]


def recoveries(told: Sequence[Story], journal: Sequence[Happened]) -> list[Recovery]:
    """For each fault that hit a worker: what became of the attempts that it had in hand and did not finish."""
    away = [fault for fault in journal if fault.takes_service_away]
    found = []
    for story in told:
        returned = {e.attempt: e.at.timestamp() for e in story.events if e.kind == JobEvent.Kind.RETURNED}
        claimed = {before.number: after.claimed_at.timestamp() for before, after in pairwise(story.attempts)}
        for attempt in story.attempts:
            back = returned.get(attempt.number)
            if back is None:
                continue
            fault = _first_hit(attempt, back, journal)
            if fault is None:
                continue
            again = claimed.get(attempt.number)
            found.append(
                Recovery(
                    fault,
                    story,
                    attempt.number,
                    back - fault.began,
                    again - fault.began if again else None,
                    any(a.began < back and a.ended > fault.began for a in away),
                )
            )
    return found


def _first_hit(attempt: Attempt, back: float, journal: Sequence[Happened]) -> Happened | None:
    """The first fault that hit the attempt's worker while the attempt was under way."""
    pid, since = pid_of(attempt.worker), attempt.claimed_at.timestamp()
    hits = [fault for fault in journal if fault.pid == pid and since <= fault.began <= back]
    return min(hits, key=lambda fault: fault.began, default=None)


def spread(seconds: Sequence[float]) -> str:
    """Median and maximum, for people."""
    if not seconds:
        return "none"
    return f"p50 {statistics.median(seconds):.1f} s, max {max(seconds):.1f} s ({len(seconds)})"
