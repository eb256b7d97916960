"""Removing what nobody needs any more. Safe to run twice at once, and when late."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.conf import settings
from django.core.files.storage import default_storage
from django.db.models import Q, Sum, Window
from django.db.models.functions import Coalesce, Now

from assets import trash
from assets.models import Asset, folder_of
from assets.objects import discard_tree, is_there
from billing.entitlements import Entitlements, entitlements_of, limit_by_workspace
from generation.limits import MIB, check_upload
from generation.models import Attempt, Job
from mutoscope.accounts.selectors import Access

CHECKPOINTS = "checkpoints"
"""The folder in the storage that holds a folder of checkpoints for each job under way."""
BATCH = 100

_KEPT = Q(discarded_at=None) & (Q(deleted_at=None) | Q(discard_at__gt=Now()))
"""Assets in libraries and in the trash."""

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
        discard_tree(checkpoint_folder(job_id))
    Job.objects.filter(pk__in=ended).exclude(checkpoint="").update(checkpoint="", checkpoint_step=0)
    return len(ended)


def discard_unpublished_clips() -> int:
    """Remove what attempts have stored that ended without publishing it. Returns of how many attempts.

    A worker that was given up may be at it still, so its attempt is left alone for another lease.
    """
    if not is_there():
        return 0
    waste = Attempt.objects.filter(clip_id__isnull=False, ended_at__lt=Now() - settings.JOB_LEASE)
    waste = waste.exclude(outcome__in=[Outcome.UNDER_WAY, Outcome.SUCCEEDED])
    done = 0
    for attempt_id, workspace_id, clip_id in waste.values_list("pk", "job__workspace", "clip_id")[:BATCH]:
        discard_tree(folder_of(workspace_id, clip_id))  # type: ignore[arg-type]  # the filter leaves out None
        done += Attempt.objects.filter(pk=attempt_id, clip_id=clip_id).update(clip_id=None)
    return done


def retire_outdated_clips() -> int:
    """Have the files of clips go that are older than their workspaces' plans keep them. Returns of how many.

    What the plan promises is that they are gone, so they are not put into the trash for another month, and those
    that lie there do not stay longer either. Uploads are not touched.
    """
    clips = Asset.objects.filter(_KEPT, origin=Asset.Origin.GENERATED)
    with_clips = clips.order_by().values_list("workspace", flat=True).distinct()
    alike: defaultdict[int, list[UUID]] = defaultdict(list)
    for workspace_id, days in limit_by_workspace("retention_days", with_clips).items():
        if days is not None:
            alike[days].append(workspace_id)
    return sum(
        clips.filter(workspace__in=workspaces, created_at__lt=Now() - timedelta(days=days)).update(
            deleted_at=Coalesce("deleted_at", Now()), discard_at=Now()
        )
        for days, workspaces in alike.items()
    )


def bound_trash() -> int:
    """Have what is in the trash go early where a workspace has more there than its plan lets the library have.

    What is in the trash does not count against the plan, so that deleting makes room at once; and so that it
    cannot be used to keep files beside it, it has no more room than the library itself. The oldest go first.
    Returns how many.
    """
    in_trash = Asset.objects.filter(deleted_at__isnull=False, discard_at__gt=Now(), discarded_at=None)
    sizes = dict(in_trash.order_by().values_list("workspace").annotate(Sum("size_bytes")))
    gone = 0
    for workspace_id, mib in limit_by_workspace("storage_mib", sizes).items():
        if mib is not None and sizes[workspace_id] > mib * MIB:
            newer = Window(Sum("size_bytes"), order_by=["-deleted_at", "-id"])
            mine = in_trash.filter(workspace=workspace_id).order_by().annotate(newer=newer)
            beyond = list(mine.filter(newer__gt=mib * MIB).values_list("pk", flat=True))
            gone += in_trash.filter(pk__in=beyond).update(discard_at=Now())
    return gone


def restore(access: Access, asset_id: UUID) -> Asset:
    """Put an asset back into the library, if the plan has room for it. Raises `NotFound` or `LimitReached`."""
    return trash.restore(access, asset_id, admit=partial(check_upload, entitlements_of(access.workspace.pk)))


def kept_until(asset: Asset, plan: Entitlements) -> datetime | None:
    """When the files of the asset are to go: from the trash, or by the plan; None where they are kept."""
    ends = [asset.discard_at] if asset.discard_at else []
    if plan.retention_days is not None and asset.origin == Asset.Origin.GENERATED:
        ends.append(asset.created_at + timedelta(days=plan.retention_days))
    return min(ends, default=None)


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
