"""Tickets: what travels through Celery. A ticket says "this lane has work" and names no job.

A worker that gets one claims the lane's next job in SQL. A lost ticket is made again from the database
(`generation.recovery`); a doubled one finds nothing to claim.
"""

from __future__ import annotations

import logging

from django.db import transaction
from kombu.exceptions import OperationalError

from generation.scheduling.lanes import Lane, UnknownLane
from mutoscope.celery import app

log = logging.getLogger(__name__)

TASK = "generation.serve"


def issue_on_commit(lane: str) -> None:
    """Send one ticket once the current transaction is in the database."""
    transaction.on_commit(lambda: issue(lane))


def issue(lane: str, count: int = 1) -> int:
    """Send tickets now. A broker that is away costs nothing but time: they are reissued. Returns how many went.

    Jobs of a model that has left the catalog wait until it is back; they must not hold up the others.
    """
    sent = 0
    try:
        Lane.parse(lane)
        for _ in range(count):
            app.send_task(TASK, args=[lane], queue=lane, ignore_result=True, retry=False)
            sent += 1
    except UnknownLane as error:
        log.error("no ticket could be sent to %s: %s", lane, error)
    except OperationalError as error:
        log.warning("no ticket could be sent to %s (reissued later): %s", lane, error)
    return sent
