"""Deleting a workspace: at once for its people, for its files and rows as soon as upkeep is through with them."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import CharField, F, Q, QuerySet, Value
from django.db.models.functions import Cast, Concat, Now

from assets.models import Asset, Upload
from assets.objects import discard_tree, is_there, listing
from billing import ledger
from billing.payments import closing
from billing.payments.base import ProviderUnavailable
from generation import transitions
from generation.deletion import rows, traces
from generation.models import Attempt, Job, JobEvent
from generation.retention import checkpoint_folder
from mutoscope.accounts.models import ApiKey, Membership, Workspace

log = logging.getLogger(__name__)

FOLDERS = ("workspaces", "marks")
"""Folders of the storage in which each workspace has one of its own."""
_JUST_NOW = timedelta(minutes=10)


def delete(workspace_id: UUID) -> bool:
    """Delete the workspace. Returns whether this call did.

    From now on nobody gets in, nothing comes in, and its jobs are cancelled, at the price of the part that ran.
    Files and rows are removed by `carry_on`, which is to be called until it has nothing more to do.
    """
    deleted = mark_deleted([workspace_id])
    cancel_jobs(workspace_id)
    return bool(deleted)


@transaction.atomic
def mark_deleted(workspace_ids: Collection[UUID]) -> int:
    """Close workspaces for good: no name, no people, no keys. Returns how many this call closed."""
    closing_now = Workspace.objects.filter(pk__in=workspace_ids, deleted_at=None)
    name = Concat(Value("deleted workspace "), Cast("pk", CharField()), output_field=CharField())
    marked = closing_now.update(deleted_at=Now(), name=name)
    Membership.objects.filter(workspace__in=workspace_ids).delete()
    ApiKey.objects.filter(workspace__in=workspace_ids, revoked_at=None).update(revoked_at=Now())
    traces.forget_in_admin_log(Workspace, workspace_ids)
    return marked


def cancel_jobs(workspace_id: UUID) -> int:
    """Cancel what has not ended, as its people would. Returns how many of the jobs this call ended."""
    active = Job.objects.filter(workspace=workspace_id, state__in=Job.ACTIVE)
    return sum(
        transitions.move(
            job_id,
            JobEvent.Kind.CANCELLED,
            come_from=Job.ACTIVE,
            to=Job.State.CANCELLED,
            outcome=Attempt.Outcome.CANCELLED,
            by_user=True,
        )
        for job_id in active.values_list("pk", flat=True)
    )


def carry_on(until: float) -> int:
    """Go on with deletions that are not through, up to `until` on the monotonic clock. Returns how many are now.

    Safe to run twice at once, and when late. A storage or a payment provider that is away is asked again in the
    next round: until then the workspace does not count as emptied. For as long as a link to upload something
    could still be used, workspaces that were emptied are looked at again.
    """
    done = 0
    for workspace_id in unfinished().values_list("pk", flat=True):
        if time.monotonic() >= until:
            break
        try:
            done += _empty(workspace_id, until)
        except Exception:
            log.exception("the workspace %s is not emptied yet; it is tried again", workspace_id)
    return done


def unfinished() -> QuerySet[Workspace]:
    """Deleted workspaces that something may be left of."""
    late = Q(deleted_at__gt=Now() - settings.LINK_LIFETIME, emptied_at__lt=Now() - _JUST_NOW)
    return Workspace.objects.filter(Q(emptied_at=None) | late, deleted_at__isnull=False).order_by(
        F("emptied_at").asc(nulls_first=True), "deleted_at"
    )


def _empty(workspace_id: UUID, until: float) -> bool:
    """Remove what there is of a deleted workspace, in this order. Returns whether nothing is left."""
    # 1. Nothing more is made, and nothing more is paid.
    cancel_jobs(workspace_id)
    has_left = _leave(workspace_id)
    # 2. Files, while rows still tell which there are; where nothing was ever stored, there is nothing to look for.
    if is_there() or Asset.objects.filter(workspace=workspace_id, discarded_at=None).exists():
        _discard_files(workspace_id)
    # 3. Rows: jobs lose their words, all else goes.
    if not rows.strip(workspace_id, until):
        return False
    # 4. What the books keep, without names.
    ledger.forfeit(workspace_id, "the workspace was deleted")
    closing.forget_words(workspace_id)
    # 5. It is written down once it is so.
    if not has_left or _is_anything_left(workspace_id):
        return False
    return bool(Workspace.objects.filter(pk=workspace_id).update(emptied_at=Now()))


def _leave(workspace_id: UUID) -> bool:
    """Whether the payment provider has let go of it; one that is away holds up nothing else."""
    if not Workspace.objects.filter(pk=workspace_id, emptied_at=None).exists():
        return True
    try:
        closing.leave(workspace_id)
    except ProviderUnavailable as refusal:
        log.warning("the payments of the workspace %s are not closed yet: %s", workspace_id, refusal.message)
        return False
    return True


def _discard_files(workspace_id: UUID) -> None:
    for folder in FOLDERS:
        discard_tree(f"{folder}/{workspace_id}")
    for upload_id in Upload.objects.filter(workspace=workspace_id).values_list("pk", flat=True):
        discard_tree(f"uploads/{upload_id}")
    checkpointed = Job.objects.filter(workspace=workspace_id).exclude(checkpoint="")
    for job_id in checkpointed.values_list("pk", flat=True):
        discard_tree(checkpoint_folder(job_id))


def _is_anything_left(workspace_id: UUID) -> bool:
    files = any(next(listing(f"{folder}/{workspace_id}"), None) for folder in FOLDERS)
    return files or Asset.objects.filter(workspace=workspace_id).exists()
