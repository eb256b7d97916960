"""What the holder of an attempt may do to its job. Every write is fenced: see `transitions.held_by`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from assets.models import Asset
from generation import tickets, transitions
from generation.engines.base import EngineError
from generation.models import Attempt, Job, JobEvent

State, Kind, Outcome = Job.State, JobEvent.Kind, Attempt.Outcome


class Lost(Exception):
    """The attempt no longer holds its job: cancelled, or the lease ran out. Stop, and leave no trace."""


def renew(held: Iterable[tuple[UUID, int]]) -> None:
    """Push the leases of all attempts in `held` (job, attempt number) into the future, where they still hold."""
    mine = Q(pk__in=[])
    for job_id, attempt in held:
        mine |= transitions.held_by(attempt) & Q(pk=job_id)
    Job.objects.filter(mine).update(lease_expires_at=timezone.now() + settings.JOB_LEASE)


def is_held(job: Job) -> bool:
    """Whether this attempt still holds the job."""
    return Job.objects.filter(transitions.held_by(job.attempt), pk=job.pk).exists()


def note_progress(job: Job, progress: float) -> bool:
    """Write the share of steps done, 0 to 1. Returns whether the attempt still holds the job."""
    held = Job.objects.filter(transitions.held_by(job.attempt), pk=job.pk)
    return bool(held.update(progress=progress))


def note_engine_started(job: Job) -> None:
    """The engine begins to work on the job now."""
    Attempt.objects.filter(job=job, number=job.attempt).update(engine_started_at=timezone.now())


def start_finishing(job: Job, recipe: Mapping[str, Any]) -> None:
    """All frames are made; what is left is the finish stage. Raises `Lost`."""
    Attempt.objects.filter(job=job, number=job.attempt).update(engine_ended_at=timezone.now())
    moved = transitions.move(
        job.pk,
        Kind.FINISHING,
        come_from={State.RUNNING},
        to=State.FINISHING,
        fence=transitions.held_by(job.attempt),
        progress=1.0,
        recipe=dict(recipe),
    )
    if not moved:
        raise Lost


@transaction.atomic
def succeed(job: Job, clip: Asset) -> None:
    """Publish the clip: the asset comes into being and the job succeeds, or neither. Raises `Lost`."""
    clip.save(force_insert=True)
    moved = transitions.move(
        job.pk,
        Kind.SUCCEEDED,
        come_from={State.FINISHING},
        to=State.SUCCEEDED,
        fence=transitions.held_by(job.attempt),
        outcome=Outcome.SUCCEEDED,
        output=clip,
    )
    if not moved:
        raise Lost


def fail(
    job: Job,
    code: str,
    message: str,
    *,
    outcome: Attempt.Outcome = Outcome.FAILED,
    fence: Q | None = None,
) -> bool:
    """End the job without a clip. Returns whether this call did it. For `fence` see `give_back`."""
    return transitions.move(
        job.pk,
        Kind.FAILED,
        come_from=Job.HELD,
        to=State.FAILED,
        fence=fence or transitions.held_by(job.attempt),
        outcome=outcome,
        message=message,
        error_code=code,
        error_message=message,
    )


def settle_error(job: Job, error: EngineError) -> None:
    """End or retry the job after an error, by whose doing it was."""
    if error.blame == "user":
        fail(job, error.code, error.message)
    else:
        give_back(job, error.code, error.message)


def give_back(
    job: Job,
    code: str,
    message: str,
    *,
    outcome: Attempt.Outcome = Outcome.RETURNED,
    fence: Q | None = None,
) -> bool:
    """Return the job to its lane, or fail it when it has had all its attempts. Returns whether this call did.

    `fence` is the attempt's own lease unless recovery, which takes over a lease that ran out, brings another.
    """
    if job.attempt >= settings.JOB_MAX_ATTEMPTS:
        ending = Outcome.FAILED if outcome == Outcome.RETURNED else outcome
        return fail(job, code, f"{message} (tried {job.attempt} times)", outcome=ending, fence=fence)
    with transaction.atomic():
        moved = transitions.move(
            job.pk,
            Kind.RETURNED,
            come_from=Job.HELD,
            to=State.QUEUED,
            fence=fence or transitions.held_by(job.attempt),
            outcome=outcome,
            message=message,
            lease_expires_at=None,
            progress=0.0,
        )
        if moved:
            tickets.issue_on_commit(job.lane)
    return moved
