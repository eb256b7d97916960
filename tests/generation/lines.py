"""Lines of waiting jobs, made quickly: rows as `services.submit` makes them, and the flows that sum them up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from billing.entitlements import entitlements_of
from billing.models import Plan, Subscription
from generation import transitions
from generation.models import Attempt, Job, Worker
from mutoscope.accounts.models import User, Workspace
from mutoscope.accounts.services import create_workspace


def workspace_of(number: int, *, weight: int = 1, concurrent_jobs: int = 1000) -> Workspace:
    """A workspace on a plan of its own."""
    user = User.objects.create(email=f"person{number}@example.org", password="!")
    plan = Plan.objects.create(
        slug=f"plan-{number}", name=f"Plan {number}", tiers=["paid", "free", "batch"], queued_jobs=1000,
        weight=weight, concurrent_jobs=concurrent_jobs,
    )  # fmt: skip
    workspace = create_workspace(user, f"Workspace {number}")
    Subscription.objects.create(workspace=workspace, plan=plan)
    return workspace


def queued(workspace: Workspace, *, tier: str = "paid", work_ms: int = 80, **columns: Any) -> Job:
    """A job of the tests' model that waits in its lane."""
    now = timezone.now()
    job = Job(
        workspace=workspace, model="still", tier=tier, lane=f"still.{tier}", mode="t2v", size="tiny", width=64,
        height=64, seconds=1, fps=8, frames=8, engine_width=64, engine_height=64, engine_frames=8, steps=8,
        guidance=1.0, seed=1, created_at=now, queued_at=now,
        deadline=now + timedelta(days=1), work_ms=work_ms, **columns,
    )  # fmt: skip
    transitions.begin(job, entitlements_of(job.workspace_id))
    return job


def worker(name: str = "w1", lanes: tuple[str, ...] = ("paid", "free", "batch"), **columns: Any) -> Worker:
    """A worker that has just reported itself."""
    now = timezone.now()
    return Worker.objects.create(
        name=name, host="box", pid=1, model="still", lanes=[f"still.{tier}" for tier in lanes], version="1",
        started_at=now, seen_at=now, **{"state": Worker.State.IDLE, **columns},
    )  # fmt: skip


def ended(
    workspace: Workspace, *, step: float = 0.01, finish: float = 1.0, at: timedelta = timedelta(), **of: Any
) -> Attempt:
    """An attempt that took so many seconds a step and to finish, and ended well so long ago."""
    attempt_of = {key: of.pop(key) for key in ("gpu", "precision", "outcome", "first_step") if key in of}
    end = timezone.now() - at
    shape = {"size": "tiny", "width": 64, "height": 64, "frames": 8, "steps": 8, **of}
    shape |= {f"engine_{side}": shape[side] for side in ("width", "height", "frames")}
    job = Job.objects.create(
        workspace=workspace, model=shape.pop("model", "still"), tier="paid", lane="still.paid", mode="t2v", fps=8,
        seconds=1, seed=1, created_at=end, deadline=end, state="succeeded", ended_at=end, attempt=1, **shape,
    )  # fmt: skip
    steps = job.steps or job.frames
    engine_ended = end - timedelta(seconds=finish)
    return Attempt.objects.create(
        job=job, number=1, worker="w1", claimed_at=end, steps=steps, ended_at=end, engine_ended_at=engine_ended,
        engine_started_at=engine_ended - timedelta(seconds=step * steps), size=job.size, frames=job.frames,
        **{"outcome": "succeeded", **attempt_of},
    )  # fmt: skip
