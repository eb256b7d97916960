"""What people may do with jobs: ask for one, ask what one would come to, and cancel one."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from billing.entitlements import entitlements_of
from generation import estimates, limits, transitions
from generation.errors import AlreadyEnded, IdempotencyMismatch, InvalidJob
from generation.estimates import Estimate
from generation.models import Attempt, Job, JobEvent
from generation.requests import JobRequest, complete
from generation.safety.moderation import gate
from mutoscope.accounts.models import Workspace
from mutoscope.accounts.selectors import Access
from mutoscope.accounts.services import hold_workspace
from mutoscope.errors import NotFound

__all__ = ["Estimate", "JobRequest", "cancel", "estimate", "submit"]

KEY_LENGTH = 255


def submit(access: Access, request: JobRequest, *, idempotency_key: str = "") -> Job:
    """Check the request, make the job and send its ticket. The same key and request give the same job.

    Raises `InvalidJob`, `ModelUnavailable`, `NotInPlan`, `LimitReached`, `InsufficientCredits`,
    `IdempotencyMismatch`, or what moderation says (`safety.moderation.gate`).
    """
    if idempotency_key:
        earlier = _earlier(access.workspace, idempotency_key, request)
        if earlier:
            return earlier
    plan = entitlements_of(access.workspace.pk)
    job = complete(access, plan, request)
    limits.check_kind(job, plan)
    gate.check(job)
    job.idempotency_key = idempotency_key
    job.request_digest = request.digest()
    with transaction.atomic():
        hold_workspace(access.workspace.pk)  # parallel submissions of one workspace come one after the other
        faster = _earlier(access.workspace, idempotency_key, request) if idempotency_key else None
        if faster:
            return faster
        limits.check_room(job, plan)
        transitions.begin(job, plan)
    return job


def estimate(access: Access, request: JobRequest) -> Estimate:
    """What the job would come to, were it submitted now: all the same checks, and nothing is made.

    Credits that are missing refuse nothing here: the estimate says what it costs and how much there is. Raises
    `InvalidJob`, `ModelUnavailable`, `NotInPlan`, `LimitReached`, or what moderation says of the prompt.
    """
    plan = entitlements_of(access.workspace.pk)
    job = complete(access, plan, request)
    limits.check_kind(job, plan)
    gate.check_words(job)
    limits.check_room(job, plan)
    return estimates.of(job, plan)


def cancel(access: Access, job_id: UUID) -> Job:
    """Cancel a job that has not ended; a worker that is on it stops within one step. The part that ran is paid.

    Cancelling twice is no error. Raises `NotFound`, or `AlreadyEnded` for a job that succeeded or failed.
    """
    changed = Job.objects.filter(pk=job_id, workspace=access.workspace).exists() and transitions.move(
        job_id,
        JobEvent.Kind.CANCELLED,
        come_from=Job.ACTIVE,
        to=Job.State.CANCELLED,
        outcome=Attempt.Outcome.CANCELLED,
        by_user=True,
    )
    job = Job.objects.select_related("picture", "output").filter(pk=job_id, workspace=access.workspace).first()
    if job is None:
        raise NotFound(f"no job has the id {job_id}")
    if not changed and job.state != Job.State.CANCELLED:
        raise AlreadyEnded(f"a job can be cancelled until it has ended, but this one is {job.state}")
    return job


def _earlier(workspace: Workspace, key: str, request: JobRequest) -> Job | None:
    if len(key) > KEY_LENGTH:
        raise InvalidJob(
            f"an idempotency key may have at most {KEY_LENGTH} characters, but this one has {len(key)}",
            field="Idempotency-Key",
        )
    job = Job.objects.select_related("picture", "output").filter(workspace=workspace, idempotency_key=key).first()
    if job and job.request_digest != request.digest():
        raise IdempotencyMismatch(
            f"the idempotency key {key!r} came with a different request before; use a new key for a new job",
            field="Idempotency-Key",
        )
    return job
