"""`manage.py costs`: the report on the terminal."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from mutoscope.accounts.models import Workspace
from tests.generation.costs.histories import L40S, UNKNOWN, attempt, job


def costs(*arguments: str) -> str:
    out = io.StringIO()
    call_command("costs", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def work(workspace: Workspace) -> Workspace:
    """An hour of an H100 an hour ago and one 40 days ago, and one of an L40S on spot a day ago."""
    now = timezone.now() - timedelta(hours=2)
    attempt(job(workspace), "succeeded", 3600, at=now, steps=40)
    attempt(job(workspace), "succeeded", 3600, at=now - timedelta(days=40), steps=40)
    spot = job(workspace, tier="batch")
    attempt(spot, "succeeded", 3600, at=now - timedelta(days=1), steps=40, gpu=L40S, is_spot=True)
    return workspace


def lines(said: str) -> list[list[str]]:
    return [line.split() for line in said.splitlines()]


def test_the_table_has_a_line_for_each_kind_and_one_for_all(work: Workspace) -> None:
    found = lines(costs())
    assert found[1][:6] == ["model", "tier", "GPU", "market", "jobs", "attempts"]
    assert [line[:4] for line in found[2:5]] == [
        ["ltx-video-2b", "batch", "L40S", "spot"], ["ltx-video-2b", "paid", "H100", "SXM5"],
        ["all", "2", "2", "2.00"],
    ]  # fmt: skip
    assert "$3.22" in found[4]


def test_days_lines_and_filters_are_as_asked(work: Workspace) -> None:
    assert "all 3 3 3.00" in " ".join(costs("--days", "60").split())
    assert [line[0] for line in lines(costs("--by", "gpu", "--tier", "paid"))[1:4]] == ["GPU", "H100", "all"]


def test_what_is_unknown_is_said(work: Workspace) -> None:
    attempt(job(work), "succeeded", 36, at=timezone.now() - timedelta(hours=1), steps=40, gpu=UNKNOWN)
    said = costs()
    assert f"The price book does not know {UNKNOWN}" in said
    [total] = [line for line in lines(said) if line[0] == "all"]
    assert "unknown" in total


def test_programs_read_csv(work: Workspace) -> None:
    rows = list(csv.DictReader(io.StringIO(costs("--csv", "--by", "gpu"))))
    assert [(row["gpu"], float(row["cost_usd"])) for row in rows] == [("H100 SXM5", 2.9), ("L40S", 0.32)]


def test_without_attempts_there_is_only_the_sum(db: None) -> None:
    assert [line[0] for line in lines(costs())[1:]] == ["model", "all"]


@pytest.mark.parametrize("days", ["0", "-3", "many", "99999"])
def test_days_are_a_whole_number(db: None, days: str) -> None:
    with pytest.raises(CommandError, match="must be a whole number of days from 1 to 3660"):
        costs(f"--days={days}")
