"""What a worker that was told to stop wants of its engine, by the job's own pace."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest

from generation.worker.drain import Drain, Outlook, Wish


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def outlook(clock: list[float], *, done: int, total: int, pace: float) -> Outlook:
    """A job that has done so many steps at this pace, the last one now."""
    found = Outlook(total, seconds_per_step=999)
    for step in range(1, done + 1):
        clock[0] += pace
        found.step(step, total)
    return found


@pytest.mark.parametrize(
    ("done", "total", "wish"),
    [(10, 12, Wish.GO_ON), (10, 20, Wish.GO_ON), (10, 40, Wish.CHECKPOINT_AND_STOP), (40, 40, Wish.GO_ON)],
)
def test_a_job_that_will_end_in_time_goes_on(
    clock: list[float], settings: Any, done: int, total: int, wish: Wish
) -> None:
    settings.WORKER_GRACE = timedelta(seconds=25)
    job = outlook(clock, done=done, total=total, pace=2)  # 10 more steps are 20 s
    drain = Drain()
    assert drain.wish(job, afterwards=3) == Wish.GO_ON
    drain.ask()
    assert drain.wish(job, afterwards=3) == wish


def test_a_job_that_slows_down_is_stopped_later_and_killed_at_the_end(clock: list[float], settings: Any) -> None:
    settings.WORKER_GRACE = timedelta(seconds=25)
    job, drain = outlook(clock, done=10, total=20, pace=2), Drain()
    drain.ask()
    assert drain.wish(job, afterwards=3) == Wish.GO_ON
    clock[0] += 10
    job.step(11, 20)
    assert drain.wish(job, afterwards=3) == Wish.CHECKPOINT_AND_STOP
    clock[0] += 15
    assert drain.wish(job, afterwards=3) == Wish.END_NOW
    drain.ask()  # a second signal does not prolong it
    assert drain.wish(job, afterwards=3) == Wish.END_NOW


def test_before_the_first_step_the_estimate_counts(clock: list[float], settings: Any) -> None:
    settings.WORKER_GRACE = timedelta(seconds=25)
    drain = Drain()
    drain.ask()
    assert drain.wish(Outlook(total=10, seconds_per_step=1.0), afterwards=3) == Wish.GO_ON
    assert drain.wish(Outlook(total=30, seconds_per_step=1.0), afterwards=3) == Wish.CHECKPOINT_AND_STOP
