"""Every change of a job's state: one conditional change, one event, one answer to "did this call do it?".

Nothing else in the platform writes `Job.state`. What a change means for the lanes is done in the same transaction.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from billing.entitlements import Entitlements, entitlements_of
from generation import live, settlement
from generation.models import Attempt, Job, JobEvent
from generation.scheduling import flows, tickets

State, Kind, Outcome = Job.State, JobEvent.Kind, Attempt.Outcome

_KNOWN = ["state", "attempt", "lane", "workspace_id", "work_ms", "priority", "queued_at", "credits", "progress"]
"""What a change of state must know of the job."""


def held_by(attempt: int) -> Q:
    """The fence: jobs on which attempt number `attempt` still has its lease."""
    return Q(attempt=attempt, state__in=Job.HELD, lease_expires_at__gt=Now())


@transaction.atomic
def begin(job: Job, plan: Entitlements) -> None:
    """Put a new job, `queued` or `scheduled`, into the database and into its lane, and hold its price.

    Raises `InsufficientCredits`.
    """
    job.save(force_insert=True)
    record(job.pk, Kind.QUEUED if job.state == State.QUEUED else Kind.SCHEDULED, 0, "")
    if job.state == State.QUEUED:
        flows.join(job, plan)
        flows.throttle(job.workspace_id, plan)
        tickets.issue_on_commit(job.lane)
    settlement.hold(job, plan)  # last, as where jobs end: lanes before credits, so that nobody waits in a circle


@transaction.atomic
def move(
    job_id: UUID,
    kind: JobEvent.Kind,
    *,
    come_from: Collection[Job.State],
    to: Job.State,
    fence: Q | None = None,
    outcome: Attempt.Outcome | None = None,
    message: str = "",
    closing: dict[str, Any] | None = None,
    by_user: bool = False,
    **changes: Any,
) -> bool:
    """Move a job to another state if it is in one of `come_from` and the fence holds.

    Returns whether this call made the move; only then is there an event, are credits settled, and may the caller
    publish or notify. `by_user`: its own people ended it, and pay for the part that ran. `outcome` also closes the
    job's latest attempt, with `closing` as further columns of it; `changes` are further columns of the job.
    """
    condition = (fence or Q()) & Q(pk=job_id, state__in=come_from)
    job = Job.objects.select_for_update(of=("self",)).filter(condition).only(*_KNOWN).first()
    if job is None:
        return False
    was = State(job.state)
    if to in Job.TERMINAL:
        changes |= {"ended_at": Now(), "lease_expires_at": None}
    Job.objects.filter(pk=job_id).update(state=to, **changes)
    attempt = changes.get("attempt", job.attempt)
    if outcome:
        _close_attempt(job_id, attempt, outcome=outcome, reason=message, **(closing or {}))
    record(job_id, kind, attempt, message)
    _tell_lanes(job, was, to)
    if to in Job.TERMINAL:
        settlement.settle(job, was, to, by_user=by_user)
    return True


def record(job_id: UUID, kind: JobEvent.Kind, attempt: int, message: str) -> None:
    """Write an event, and tell listeners once it is in the database."""
    JobEvent.objects.create(job_id=job_id, kind=kind, attempt=attempt, message=message, at=Now())
    transaction.on_commit(lambda: live.publish(job_id, {"type": "event", "kind": str(kind)}))


def _tell_lanes(job: Job, was: Job.State, to: Job.State) -> None:
    """What the change means for who waits; a claim, from queued to running, does its own part."""
    if to == State.QUEUED:
        job.refresh_from_db(fields=["queued_at"])
        flows.join(job, entitlements_of(job.workspace_id), returned=was in Job.HELD)
        tickets.issue_on_commit(job.lane)
    elif was == State.QUEUED and to != State.RUNNING:
        flows.leave(job)
    if was in Job.HELD and to not in Job.HELD:
        for lane in flows.throttle(job.workspace_id, entitlements_of(job.workspace_id)):
            tickets.issue_on_commit(lane)


def _close_attempt(job_id: UUID, number: int, **columns: Any) -> None:
    Attempt.objects.filter(job_id=job_id, number=number, outcome=Outcome.UNDER_WAY).update(
        ended_at=Now(), **columns
    )
