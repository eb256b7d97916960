"""Histories of attempts whose cost can be reckoned by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from billing import ledger
from billing.models import Entry, GpuPrice
from generation.models import Attempt, Job
from mutoscope.accounts.models import Workspace

H100 = "NVIDIA H100 80GB HBM3"
L40S = "NVIDIA L40S"
UNKNOWN = "NVIDIA B300"
DAY = datetime(2026, 5, 10, 12, 0, tzinfo=UTC)
"""The seeded prices are in force: an hour of an H100 SXM5 is $2.90, on spot $0.80; of an L40S $0.72 and $0.32."""


def job(workspace: Workspace, state: str = "succeeded", **columns: Any) -> Job:
    """A job of 4 s (96 frames, 24 a second), 40 steps, without attempts."""
    ended = DAY if state in Job.TERMINAL else None
    lease = DAY if state in Job.HELD else None
    shape = {
        "model": "ltx-video-2b",
        "tier": "paid",
        "frames": 96,
        "fps": 24,
        "seconds": 4,
        "steps": 40,
        **columns,
    }
    return Job.objects.create(
        workspace=workspace, lane="x.paid", mode="t2v", size="720p-16-9", width=1280, height=720, seed=1,
        engine_width=1280, engine_height=736, engine_frames=97, created_at=DAY, deadline=DAY, state=state,
        ended_at=ended, lease_expires_at=lease, **shape,
    )  # fmt: skip


def attempt(of: Job, outcome: str, seconds: float | None, *, at: datetime = DAY, **columns: Any) -> Attempt:
    """The job's next attempt, whose engine took so long; None: it never began. It was closed 2 s after that."""
    began = None if seconds is None else at + timedelta(seconds=1)
    ended = None if began is None else began + timedelta(seconds=seconds or 0)
    closed = (ended or at) + timedelta(seconds=2)
    times = {"claimed_at": at, "engine_started_at": began, "engine_ended_at": ended, "ended_at": closed}
    of.attempt += 1
    of.save(update_fields=["attempt"])
    return Attempt.objects.create(
        job=of, number=of.attempt, worker=f"w{of.attempt}", outcome=outcome, **{"gpu": H100, **times, **columns}
    )


def paid(of: Job, charge: int) -> None:
    """The job has paid so many of the credits that were held for it."""
    ledger.add(of.workspace_id, charge + 5, Entry.Kind.GRANT)
    ledger.hold(of.workspace_id, of.pk, charge + 5)
    ledger.settle(of.pk, charge)


def price(gpu: str, market: str, usd: str, on: str) -> None:
    """A price of the operator's own, from a day on."""
    GpuPrice.objects.create(gpu_id=gpu, market=market, usd_per_hour=usd, effective_from=on, source="our bill")
