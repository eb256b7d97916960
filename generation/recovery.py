"""Putting right what crashes leave behind. Safe to run twice at once, and when late."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Count, Q
from django.db.models.functions import Now

from generation import attempts, tickets
from generation.models import Attempt, Job
from mutoscope.celery import app

BATCH = 100
"""Jobs put right, or tickets sent to one lane, in one go."""


def return_lost_jobs() -> int:
    """Take back the jobs of workers whose lease ran out. Returns how many."""
    expired = Q(state__in=Job.HELD, lease_expires_at__lte=Now())
    with transaction.atomic():
        jobs = list(Job.objects.select_for_update(skip_locked=True).filter(expired)[:BATCH])
        return sum(
            attempts.give_back(
                job,
                "worker_lost",
                "the worker stopped answering",
                outcome=Attempt.Outcome.LOST,
                fence=Q(attempt=job.attempt) & expired,
            )
            for job in jobs
        )


def _tickets(channel: Any, lane: str) -> int:
    """How many tickets wait in the lane's queue: what Celery's Redis transport keeps in a list."""
    return int(channel.client.llen(lane))


def reissue_tickets() -> int:
    """Send tickets to lanes that have more queued jobs than tickets. Returns how many were sent."""
    waiting = Job.objects.filter(state=Job.State.QUEUED).values("lane").annotate(jobs=Count("pk"))
    sent = 0
    with app.connection_for_read() as connection, connection.channel() as channel:
        for row in waiting.order_by("lane"):
            missing = min(row["jobs"] - _tickets(channel, row["lane"]), BATCH)
            if missing > 0:
                sent += tickets.issue(row["lane"], missing)
    return sent
