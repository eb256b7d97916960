"""Stopping politely: what becomes of the job in hand when the worker is told to stop.

From SIGTERM or Ctrl-C on, the worker has `WORKER_GRACE` to end: it claims no more, lets the job end that will,
and has the engine checkpoint the one that will not.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import Enum, auto

from django.conf import settings


class Wish(Enum):
    """What the worker wants of the engine's request."""

    GO_ON = auto()
    CANCEL = auto()
    CHECKPOINT_AND_STOP = auto()
    END_NOW = auto()


@dataclass(slots=True)
class Outlook:
    """When an attempt's clip will be there, by its own pace. Times are `time.monotonic()`, in seconds."""

    total: int
    seconds_per_step: float
    """An estimate, until two steps have been seen."""
    done: int = 0
    _first: tuple[int, float] | None = None
    _last: float | None = None

    def step(self, done: int, total: int) -> None:
        """A step has ended now."""
        now = time.monotonic()
        if self._first is None:
            self._first = (done, now)
        elif done > self._first[0]:
            self.seconds_per_step = (now - self._first[1]) / (done - self._first[0])
        self.done, self.total, self._last = done, total, now

    @property
    def is_measured(self) -> bool:
        """Whether the pace is this attempt's own, and no estimate."""
        return self._first is not None and self._first[0] < self.done

    def ends_in(self, afterwards: float) -> float:
        """Seconds until the last step has ended and `afterwards` seconds more have passed; below 0 when late.

        A step that hangs does not bring the end any nearer.
        """
        if self._last is None:
            return (self.total - self.done) * self.seconds_per_step + afterwards
        left, passed = self.total - self.done, time.monotonic() - self._last
        return left * self.seconds_per_step + afterwards - (min(passed, self.seconds_per_step) if left else passed)


class Drain:
    """Whether the worker was told to stop, and when it must have ended."""

    def __init__(self) -> None:
        self._asked_at: float | None = None

    def ask(self) -> None:
        """Stop. Called from a signal handler, so it does nothing but take note; the first time counts."""
        if self._asked_at is None:
            self._asked_at = time.monotonic()

    @property
    def asked(self) -> bool:
        return self._asked_at is not None

    @property
    def deadline(self) -> float:
        """`time.monotonic()` by which the worker must have let go of everything; infinite if not asked."""
        return float("inf") if self._asked_at is None else self._asked_at + settings.WORKER_GRACE.total_seconds()

    def wish(self, outlook: Outlook, afterwards: float) -> Wish:
        """What to want of the engine: its steps end as in `outlook`, the clip is there `afterwards` s later."""
        if not self.asked:
            return Wish.GO_ON
        if time.monotonic() >= self.deadline:
            return Wish.END_NOW
        in_time = time.monotonic() + max(0.0, outlook.ends_in(afterwards)) <= self.deadline
        # After its last step an engine has nothing left to checkpoint: it may try until the end.
        return Wish.GO_ON if in_time or outlook.done == outlook.total else Wish.CHECKPOINT_AND_STOP

    def sleep(self, seconds: float) -> None:
        """Wait, but no longer than until the worker is told to stop."""
        until = time.monotonic() + seconds
        while not self.asked and time.monotonic() < until:
            time.sleep(min(0.1, seconds))
