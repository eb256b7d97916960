"""Every change of a job's state: one conditional UPDATE, one event, one answer to "did this call do it?".

Nothing else in the platform writes `Job.state`.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from generation import live
from generation.models import Attempt, Job, JobEvent

State, Kind, Outcome = Job.State, JobEvent.Kind, Attempt.Outcome


def held_by(attempt: int) -> Q:
    """The fence: jobs on which attempt number `attempt` still has its lease."""
    return Q(attempt=attempt, state__in=Job.HELD, lease_expires_at__gt=Now())


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
    **changes: Any,
) -> bool:
    """Move a job to another state if it is in one of `come_from` and the fence holds.

    Returns whether this call made the move; only then is there an event, and only then may the caller refund,
    publish or notify. `outcome` also closes the job's latest attempt; `changes` are further columns.
    """
    now = timezone.now()
    if to in Job.TERMINAL:
        changes |= {"ended_at": now, "lease_expires_at": None}
    condition = (fence or Q()) & Q(pk=job_id, state__in=come_from)
    if not Job.objects.filter(condition).update(state=to, **changes):
        return False
    attempt = Job.objects.values_list("attempt", flat=True).get(pk=job_id)
    if outcome:
        _close_attempt(job_id, attempt, outcome, message, now)
    record(job_id, kind, attempt, message, at=now)
    return True


def record(job_id: UUID, kind: JobEvent.Kind, attempt: int, message: str, *, at: datetime) -> None:
    """Write an event, and tell listeners once it is in the database."""
    JobEvent.objects.create(job_id=job_id, kind=kind, attempt=attempt, message=message, at=at)
    transaction.on_commit(lambda: live.publish(job_id, {"type": "event", "kind": str(kind)}))


def _close_attempt(job_id: UUID, number: int, outcome: Attempt.Outcome, reason: str, now: datetime) -> None:
    Attempt.objects.filter(job_id=job_id, number=number, outcome=Outcome.UNDER_WAY).update(
        outcome=outcome, reason=reason, ended_at=now
    )
