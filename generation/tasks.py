"""Celery tasks: each fetches by name or id and calls a function that does the work."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task
from django.contrib.sessions.backends.db import SessionStore

from assets import uploads as direct_uploads
from generation import recovery, retention, sweep, uploads, usage_warnings, workers
from generation.forecast import pace
from generation.outputs.renditions import keeping, making
from generation.worker import runtime
from mutoscope.celery import WARNING_INTERVAL


@shared_task(name="generation.serve", ignore_result=True)
def serve(lane: str) -> None:
    """A ticket: serve one job of the lane, if one waits."""
    runtime.current().serve(lane)


@shared_task(name="generation.recover", ignore_result=True)
def recover() -> None:
    """What must not wait: lost jobs, deadlines, scheduled jobs, workspaces held back, lost renditions, tickets."""
    recovery.return_lost_jobs()
    recovery.expire_overdue_jobs()
    recovery.release_scheduled_jobs()
    recovery.release_throttled_flows()
    recovery.reissue_tickets()
    keeping.return_lost()
    keeping.reissue_tickets()


@shared_task(name="generation.measure_pace", ignore_result=True)
def measure_pace() -> None:
    """Renew what ETAs go by: the seconds per step, and how much joins the lanes."""
    pace.measure()
    pace.measure_arrivals()


@shared_task(name="generation.retain", ignore_result=True)
def retain() -> None:
    """Remove what nobody needs any more: checkpoints, files that became no clip, workers long gone, renditions."""
    retention.discard_checkpoints()
    retention.discard_unpublished_clips()
    workers.forget_workers()
    keeping.discard_unused()
    if sweep.is_due():
        # Thousands of files take minutes, for which the clock does not wait. One more that is still waiting when
        # the next round comes has been asked for again.
        discard.apply_async(expires=sweep.ROUND, retry=False)


@shared_task(name="generation.discard", ignore_result=True)
def discard() -> None:
    """Remove what is due of the trash and of deleted workspaces, for half a minute at most."""
    sweep.sweep()


@shared_task(name="generation.warn_of_limits", ignore_result=True)
def warn_of_limits() -> None:
    """Have people told that limits of their plan are nearly used up.

    Each e-mail is a task of its own, for the clock does not wait for mail servers. One that is still waiting when
    the next round comes has been asked for again.
    """
    for workspace_id, limit in usage_warnings.due():
        send_warning.apply_async((str(workspace_id), limit), expires=WARNING_INTERVAL, retry=False)


@shared_task(name="generation.send_warning", ignore_result=True)
def send_warning(workspace_id: str, limit: str) -> None:
    """One e-mail, unless it has been sent."""
    usage_warnings.send(UUID(workspace_id), limit)


@shared_task(name="generation.retire_clips", ignore_result=True)
def retire_clips() -> None:
    """What goes by days: clips that plans keep no longer, trash beyond its room, sessions that ran out."""
    retention.retire_outdated_clips()
    retention.bound_trash()
    SessionStore.clear_expired()


@shared_task(name="generation.make_rendition", ignore_result=True)
def make_rendition() -> None:
    """A ticket: make one rendition, if one waits."""
    making.make_next()


@shared_task(name=uploads.TASK, ignore_result=True)
def inspect_upload(upload_id: str) -> None:
    """A ticket: look into one file that was sent straight to the storage, if it still waits for that."""
    uploads.inspect(UUID(upload_id))


@shared_task(name="generation.tend_uploads", ignore_result=True)
def tend_uploads() -> None:
    """Uploads that were not completed in time, or whose ticket was lost."""
    uploads.tend()


@shared_task(name="generation.sweep_uploads", ignore_result=True)
def sweep_uploads() -> None:
    """Remove what uploads have left behind, in the storage and in the database."""
    direct_uploads.sweep()
    direct_uploads.forget()
