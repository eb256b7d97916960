"""What is to be expected of a job, in words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from generation.forecast.outlook import Outlook
from generation.forecast.pace import Span
from generation.models import Job, Pause
from mutoscope.dashboard.words import about, duration, expectation

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
TWO_MINUTES = Span(120, 60, 240)


def said(state: str = "queued", **outlook: Any) -> str:
    return expectation(Job(state=state, not_before=NOW), Outlook(NOW, **outlook))


@pytest.mark.parametrize(
    ("outlook", "words"),
    [
        ({"position": 3, "ends_in": TWO_MINUTES}, "3rd in line, about 2 min (60 s–4 min)"),
        ({"position": 1, "ends_in": Span(0, 0, 0)}, "Next in line, about 5 s"),
        ({"position": 22}, "22nd in line"),
        ({"position": 112}, "112th in line"),
        (
            {"position": 2, "throttled": True, "limit": 2, "ends_in": Span(600, 300, 1200)},
            "Held back: your workspace runs 2 of 2 jobs, about 10 min (5–20 min)",
        ),
        ({"position": 2, "throttled": True}, "Held back by your plan"),
        ({"position": 4, "pause": Pause(reason="repairs")}, "4th in line. Paused by the operator: repairs"),
        ({"position": 4, "pause": Pause()}, "4th in line. Paused by the operator"),
        ({"position": 1, "no_worker": True}, "Next in line. No worker serves this model just now"),
        ({}, ""),
    ],
)
def test_of_a_job_that_waits(outlook: dict[str, Any], words: str) -> None:
    assert said(**outlook) == words


def test_of_a_job_that_runs() -> None:
    for state in ("running", "finishing"):
        assert said(state, ends_in=Span(40, 30, 60)) == "about 40 s (30–60 s) left"
        assert said(state) == ""


def test_of_a_job_that_is_scheduled() -> None:
    assert said("scheduled") == "Not before 2 March, 12:00 UTC"


def test_of_a_job_that_has_ended() -> None:
    assert expectation(Job(state="succeeded"), None) == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "5 s"), (12, "10 s"), (89, "90 s"), (91, "2 min"), (3000, "50 min"), (5399, "90 min"), (5400, "1.5 h"),
        (7200, "2 h"), (40000, "11 h"), (86400 * 1.5, "1.5 days"), (86400 * 9, "9 days"),
    ],
)  # fmt: skip
def test_lengths_of_time(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_range_names_its_unit_once() -> None:
    assert about(Span(1200, 600, 3000)) == "about 20 min (10–50 min)"
    assert about(Span(1200, 600, 30000)) == "about 20 min (10 min–8 h)"
