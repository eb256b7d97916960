"""Removing what nobody needs any more. Safe to run twice at once, and when late."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.core.files.storage import default_storage
from django.db.models.functions import Now

from assets.models import Asset, folder_of
from assets.services import discard_folder, remove
from billing.entitlements import Entitlements, limit_by_workspace
from generation.models import Attempt, Job

CHECKPOINTS = "checkpoints"
"""The folder in the storage that holds a folder of checkpoints for each job under way."""
BATCH = 100

Outcome = Attempt.Outcome


def checkpoint_folder(job_id: UUID) -> str:
    """Where the job's checkpoints are in the storage."""
    return f"{CHECKPOINTS}/{job_id}"


def discard_checkpoints() -> int:
    """Remove the checkpoints of jobs that have ended, known to their rows or not. Returns of how many jobs."""
    folders = {name: folder for folder in _folders(CHECKPOINTS) if (name := _uuid(folder))}
    active = set(Job.objects.filter(pk__in=list(folders), state__in=Job.ACTIVE).values_list("pk", flat=True))
    ended = [name for name in folders if name not in active]
    for job_id in ended:
        discard_folder(checkpoint_folder(job_id))
    Job.objects.filter(pk__in=ended).exclude(checkpoint="").update(checkpoint="", checkpoint_step=0)
    return len(ended)


def discard_unpublished_clips() -> int:
    """Remove what attempts have stored that ended without publishing it. Returns of how many attempts.

    A worker that was given up may be at it still, so its attempt is left alone for another lease.
    """
    waste = Attempt.objects.filter(clip_id__isnull=False, ended_at__lt=Now() - settings.JOB_LEASE)
    waste = waste.exclude(outcome__in=[Outcome.UNDER_WAY, Outcome.SUCCEEDED])
    done = 0
    for attempt_id, workspace_id, clip_id in waste.values_list("pk", "job__workspace", "clip_id")[:BATCH]:
        discard_folder(folder_of(workspace_id, clip_id))  # type: ignore[arg-type]  # the filter leaves out None
        done += Attempt.objects.filter(pk=attempt_id, clip_id=clip_id).update(clip_id=None)
    return done


def discard_outdated_clips() -> int:
    """Remove the clips that are older than their workspaces' plans keep them. Returns how many.

    Their rows stay, without files, as of clips that people delete. Uploads are not touched.
    """
    clips = Asset.objects.filter(origin=Asset.Origin.GENERATED, deleted_at=None)
    with_clips = clips.order_by().values_list("workspace", flat=True).distinct()
    alike: defaultdict[int, list[UUID]] = defaultdict(list)
    for workspace_id, days in limit_by_workspace("retention_days", with_clips).items():
        if days is not None:
            alike[days].append(workspace_id)
    outdated = [
        clip
        for days, workspaces in alike.items()
        for clip in clips.filter(workspace__in=workspaces, created_at__lt=Now() - timedelta(days=days))[:BATCH]
    ]
    return sum(map(remove, outdated))


def kept_until(clip: Asset, plan: Entitlements) -> datetime | None:
    """When the plan has the clip removed; None where it is kept."""
    if plan.retention_days is None or clip.origin != Asset.Origin.GENERATED:
        return None
    return clip.created_at + timedelta(days=plan.retention_days)


def _folders(path: str) -> list[str]:
    try:
        return default_storage.listdir(path)[0]
    except FileNotFoundError:  # a local folder that nothing was stored in yet
        return []


def _uuid(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None
