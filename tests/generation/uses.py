"""Histories of use, made by hand: jobs that ended when the test says, and paid what it says."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from billing import ledger
from billing.models import Entry
from generation.models import Job
from mutoscope.accounts.models import Workspace


def ended_job(
    workspace: Workspace, at: datetime, *, seconds: float = 4, price: int = 0, paid: int = 0, **columns: Any
) -> Job:
    """A job that ended then; `price` was held for it, and `paid` of it was kept."""
    columns = {"model": "still", "state": Job.State.SUCCEEDED, "tier": "paid", "size": "tiny", **columns}
    job = Job.objects.create(
        workspace=workspace, lane=f"{columns['model']}.{columns['tier']}", mode="t2v", width=64, height=64,
        seconds=seconds, fps=8, frames=8, engine_width=64, engine_height=64, engine_frames=8, seed=1,
        credits=price, created_at=at, deadline=at, ended_at=at, **columns,
    )  # fmt: skip
    if price:
        ledger.add(workspace.pk, price, Entry.Kind.GRANT, reason="for the test")
        ledger.hold(workspace.pk, job.pk, price)
        ledger.settle(job.pk, paid)
    return job
