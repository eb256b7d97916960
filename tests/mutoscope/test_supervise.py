"""Processes that are kept running: started again, later each time, and told why they ended."""

from __future__ import annotations

import pytest

from mutoscope import supervise
from mutoscope.supervise import Kept, log_path
from tests.conftest import wait_for

pytestmark = pytest.mark.processes


@pytest.fixture
def kept() -> Kept:
    """A process that ends at once, with an error."""
    log_path("kept").unlink(missing_ok=True)
    return Kept("kept", ("check", "--no-such-option"))


def die(kept: Kept) -> str:
    kept.start()
    reason: str = wait_for(kept.death, what="the process's death")
    return reason


def test_one_that_dies_is_due_later_each_time(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "LONGEST_DELAY", 3.0)
    assert kept.is_due
    delays = []
    for deaths in (1, 2, 3):
        reason = die(kept)
        assert reason.startswith("exit code 2: manage.py check: error: unrecognized arguments"), reason
        assert (kept.deaths, kept.is_due, kept.process) == (deaths, False, None)
        delays.append(kept.delay)
    assert delays == pytest.approx([1, 2, 3], abs=0.3)
    kept.begin_anew()
    assert (kept.deaths, kept.is_due) == (0, True)


def test_one_that_was_well_for_a_while_begins_at_the_first_delay(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    die(kept)
    die(kept)
    monkeypatch.setattr(supervise, "WELL_AFTER", 0.0)
    die(kept)
    assert kept.deaths == 1
    assert kept.delay == pytest.approx(supervise.FIRST_DELAY, abs=0.3)


def test_the_reason_is_its_own_and_not_the_last_one_s(kept: Kept) -> None:
    die(kept)
    kept.arguments = ("shell", "-c", "import os; os.kill(os.getpid(), 9)")
    assert die(kept) == "killed by SIGKILL"
    kept.arguments = ("version",)
    assert die(kept) == "exit code 0"
    assert kept.death() is None  # told once
