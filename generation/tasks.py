"""Celery tasks: each fetches by name or id and calls a function that does the work."""

from __future__ import annotations

from celery import shared_task

from generation import recovery, retention, workers
from generation.forecast import pace
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


@shared_task(name="generation.measure_pace", ignore_result=True)
def measure_pace() -> None:
    """Renew what ETAs go by: the seconds per step, and how much joins the lanes."""
    pace.measure()
    pace.measure_arrivals()


@shared_task(name="generation.retain", ignore_result=True)
def retain() -> None:
    """Remove what nobody needs any more: checkpoints, files that became no clip, workers long gone."""
    retention.discard_checkpoints()
    retention.discard_unpublished_clips()
    workers.forget_workers()


@shared_task(name="generation.retire_clips", ignore_result=True)
def retire_clips() -> None:
    """Remove the clips that plans keep no longer."""
    retention.discard_outdated_clips()
