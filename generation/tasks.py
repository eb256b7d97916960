"""Celery tasks: each fetches by name or id and calls a function that does the work."""

from __future__ import annotations

from celery import shared_task

from generation import recovery, retention
from generation.worker import runtime


@shared_task(name="generation.serve", ignore_result=True)
def serve(lane: str) -> None:
    """A ticket: serve one job of the lane, if one waits."""
    runtime.current().serve(lane)


@shared_task(name="generation.recover", ignore_result=True)
def recover() -> None:
    """What must not wait: lost jobs, deadlines, scheduled jobs, workspaces held back, tickets."""
    recovery.return_lost_jobs()
    recovery.expire_overdue_jobs()
    recovery.release_scheduled_jobs()
    recovery.release_throttled_flows()
    recovery.reissue_tickets()


@shared_task(name="generation.retain", ignore_result=True)
def retain() -> None:
    """Remove what nobody needs any more: checkpoints of ended jobs, files of attempts that gave no clip."""
    retention.discard_checkpoints()
    retention.discard_unpublished_clips()
