"""What operators may do with lanes and jobs: pause, resume, boost, cancel. Only the last ends a job."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from generation import catalog, licences, recovery, transitions
from generation.models import Attempt, Job, JobEvent, Pause
from generation.scheduling import flows
from generation.scheduling.lanes import UnknownLane, every_lane
from mutoscope.accounts.models import User
from mutoscope.errors import Refusal


def scopes() -> list[str]:
    """Everything that can be paused: all of it, each model, each lane."""
    return [Pause.EVERYTHING, *catalog.models(), *map(str, every_lane())]


def pause(scope: str, *, reason: str = "", by: User | None = None) -> bool:
    """Let no more jobs of the scope be claimed; those under way go on. Returns whether this call paused it.

    Raises `UnknownLane` for a scope that is none.
    """
    if scope not in scopes():
        raise UnknownLane(f"what is paused must be one of {', '.join(scopes())}, but is {scope!r}")
    _, created = Pause.objects.get_or_create(scope=scope, defaults={"reason": reason, "paused_by": by})
    return created


def resume(scope: str) -> bool:
    """Let jobs of the scope be claimed again, at once. Returns whether this call resumed it.

    Raises `LicenceRefusal` for a model whose licence keeps it from running.
    """
    model = catalog.models().get(scope)
    refusal = licences.refusal(model) if model else ""
    if refusal:
        raise licences.LicenceRefusal(refusal, code="licence_not_accepted")
    deleted, _ = Pause.objects.filter(scope=scope).delete()
    if deleted:
        recovery.reissue_tickets()
    return bool(deleted)


@transaction.atomic
def boost(job_id: UUID, priority: int) -> bool:
    """Give a job that waits a priority: above 0 it goes before all others of its lane, below 0 after them.

    Returns whether the job waits, so that there was something to give.
    """
    job = Job.objects.select_for_update(of=("self",)).filter(pk=job_id, state__in=Job.WAITING).first()
    if job is None:
        return False
    Job.objects.filter(pk=job_id).update(priority=priority)
    if job.state == Job.State.QUEUED:
        flows.look_ahead(job.lane, job.workspace_id)
    return True


def cancel(job_id: UUID, reason: str) -> bool:
    """End a job that has not ended, wherever it is; it costs its workspace nothing. Returns whether this call did.

    The workspace is told the reason. Raises `Refusal` without one.
    """
    if not reason.strip():
        raise Refusal(
            "a reason is needed: those whose job it is are told it", code="reason_missing", field="reason"
        )
    message = f"cancelled by an operator: {reason.strip()}"
    return transitions.move(
        job_id,
        JobEvent.Kind.CANCELLED,
        come_from=Job.ACTIVE,
        to=Job.State.CANCELLED,
        outcome=Attempt.Outcome.CANCELLED,
        message=message,
        error_code="cancelled_by_operator",
        error_message=message,
    )
