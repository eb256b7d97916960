"""Upkeep: putting right what crashes leave behind, and doing what falls due.

Every function here is safe to run twice at once, and when late: each job is taken by one conditional change, and
what was not done in one round is done in the next.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet, Sum
from django.db.models.functions import Now
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from billing.entitlements import entitlements_of
from generation import attempts, transitions
from generation.models import Attempt, Flow, Job, JobEvent
from generation.scheduling import flows, pauses, tickets
from generation.scheduling.lanes import Lane, UnknownLane
from mutoscope.celery import app

log = logging.getLogger(__name__)

BATCH = 100
"""Jobs put right, or tickets sent to one lane, in one go."""

State, Kind, Outcome = Job.State, JobEvent.Kind, Attempt.Outcome


def return_lost_jobs() -> int:
    """Take back the jobs of workers whose lease ran out. Returns how many."""
    expired = Q(state__in=Job.HELD, lease_expires_at__lte=Now())
    return _one_by_one(
        Job.objects.filter(expired).order_by("lease_expires_at"),
        lambda job: attempts.give_back(
            job,
            "worker_lost",
            "the worker stopped answering",
            outcome=Outcome.LOST,
            fence=Q(attempt=job.attempt) & expired,
        ),
    )


def expire_overdue_jobs() -> int:
    """Fail the jobs whose deadline has passed, wherever they are. Returns how many."""
    overdue = Q(state__in=Job.ACTIVE, deadline__lte=Now())

    def expire(job: Job) -> bool:
        message = f"the job had not ended by its deadline, {job.deadline:%Y-%m-%d %H:%M} UTC"
        return transitions.move(
            job.pk,
            Kind.FAILED,
            come_from=Job.ACTIVE,
            to=State.FAILED,
            fence=overdue,
            outcome=Outcome.EXPIRED,
            message=message,
            closing={"error_code": "deadline_passed"},
            error_code="deadline_passed",
            error_message=message,
        )

    return _one_by_one(Job.objects.filter(overdue).order_by("deadline"), expire)


def release_scheduled_jobs() -> int:
    """Let the jobs join their lanes whose time has come. Returns how many."""
    due = Q(state=State.SCHEDULED, not_before__lte=Now())
    return _one_by_one(
        Job.objects.filter(due).order_by("not_before"),
        lambda job: transitions.move(
            job.pk, Kind.QUEUED, come_from={State.SCHEDULED}, to=State.QUEUED, fence=due, queued_at=Now()
        ),
    )


def release_throttled_flows() -> int:
    """Let workspaces go on whose plan lets more run than when they were held back. Returns how many."""
    held_back = Flow.objects.filter(throttled=True).order_by("workspace").values_list("workspace", flat=True)
    released = 0
    for workspace_id in held_back.distinct():
        with transaction.atomic():
            lanes = flows.throttle(workspace_id, entitlements_of(workspace_id))
            for lane in lanes:
                tickets.issue_on_commit(lane)
        released += bool(lanes)
    return released


def reissue_tickets() -> int:
    """Send tickets to lanes that have more jobs to claim than tickets. Returns how many were sent."""
    try:
        return _reissue_tickets()
    except (OperationalError, RedisError) as error:
        log.warning("tickets could not be counted (tried again next round): %s", error)
        return 0


def _reissue_tickets() -> int:
    eligible = Flow.objects.filter(waiting__gt=0, throttled=False)
    sent = 0
    with app.connection_for_write() as connection, connection.channel() as channel:
        for row in eligible.values("lane").annotate(jobs=Sum("waiting")).order_by("lane"):
            if not _is_open(row["lane"]):
                continue
            missing = min(row["jobs"] - _tickets(channel, row["lane"]), BATCH)
            if missing > 0:
                sent += tickets.issue(row["lane"], missing)
    return sent


def _is_open(lane: str) -> bool:
    """Whether tickets of the lane would find anything: those of paused lanes would only be spent."""
    try:
        return bool(pauses.not_paused([Lane.parse(lane)]))
    except UnknownLane:
        return True  # `tickets.issue` says what is wrong with it


def _tickets(channel: Any, lane: str) -> int:
    """How many tickets wait in the lane's queue: what Celery's Redis transport keeps in a list."""
    return int(channel.client.llen(lane))


def _one_by_one(jobs: QuerySet[Job], put_right: Callable[[Job], bool]) -> int:
    """Put right each of the jobs, in a transaction of its own. Returns how many of them this call did.

    Two that do this at once meet at the change itself, which one of them makes.
    """
    return sum(put_right(job) for job in jobs[:BATCH])
