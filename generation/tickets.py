"""Tickets: what travels through Celery. A ticket says "this lane has work" and names no job.

A worker that gets one claims the lane's next job in SQL. A lost ticket is made again from the database
(`generation.recovery`); a doubled one finds nothing to claim.
"""

from __future__ import annotations

import logging

from django.db import transaction
from kombu.exceptions import OperationalError

from generation.lanes import Lane
from mutoscope.celery import app

log = logging.getLogger(__name__)

TASK = "generation.serve"


def issue_on_commit(lane: Lane) -> None:
    """Send one ticket once the current transaction is in the database."""
    transaction.on_commit(lambda: issue(lane))


def issue(lane: Lane, count: int = 1) -> None:
    """Send tickets now. A broker that is away costs nothing but time: they are reissued."""
    try:
        for _ in range(count):
            app.send_task(TASK, args=[str(lane)], queue=str(lane), ignore_result=True, retry=False)
    except OperationalError as error:
        log.warning("no ticket could be sent to %s (reissued later): %s", lane, error)
