"""Claiming: which queued job of a lane is next, decided when a worker is free and not before."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from generation import transitions
from generation.lanes import Lane
from generation.models import Attempt, Job, JobEvent


@transaction.atomic
def claim(lane: Lane, worker: str) -> Job | None:
    """Take the lane's oldest queued job for `worker`, as a new attempt with a lease; None when none waits.

    Workers that claim at once skip each other's rows, so none waits and none gets the same job.
    """
    job = (
        Job.objects.select_for_update(skip_locked=True, of=("self",))
        .select_related("picture")
        .filter(lane=str(lane), state=Job.State.QUEUED)
        .order_by("id")
        .first()
    )
    if job is None:
        return None
    now = timezone.now()
    job.attempt += 1
    job.state = Job.State.RUNNING
    job.lease_expires_at = now + settings.JOB_LEASE
    job.started_at = job.started_at or now
    job.save(update_fields=["attempt", "state", "lease_expires_at", "started_at"])
    Attempt.objects.create(job=job, number=job.attempt, worker=worker, claimed_at=now)
    transitions.record(job.pk, JobEvent.Kind.STARTED, job.attempt, "", at=now)
    return job
