"""The trash: what was deleted and can be restored, until its files are gone from storage.

Deleting sets the time at which the files are to go (`discard_at`). Until then restoring is one conditional
UPDATE; from then on it is refused, so that nothing is restored whose files are just being removed. That the files
are gone is written down after they are, so a storage that is away is asked again in the next round.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from assets.models import Asset, Rendition, folder_of
from assets.objects import discard_tree
from assets.selectors import asset_of, used_bytes
from assets.services import Admit
from mutoscope.accounts.models import Workspace
from mutoscope.accounts.selectors import Access
from mutoscope.accounts.services import hold_workspace
from mutoscope.errors import NotFound

log = logging.getLogger(__name__)

BATCH = 100
"""Assets looked up at once."""
PATIENCE = 5
"""Failures in a row after which the storage is taken to be away."""


def trash(workspace: Workspace) -> QuerySet[Asset]:
    """What the workspace can still restore, the newest first."""
    return Asset.objects.filter(
        workspace=workspace, deleted_at__isnull=False, discard_at__gt=Now(), discarded_at=None
    )


def trashed(workspace: Workspace, asset_id: UUID) -> Asset:
    """One asset in the workspace's trash. Raises `NotFound`."""
    asset = trash(workspace).filter(pk=asset_id).first()
    if asset is None:
        raise NotFound(f"no asset in the trash has the id {asset_id}")
    return asset


def delete(access: Access, asset_id: UUID, *, now: bool = False) -> None:
    """Put an asset of the library into the trash; `now` has its files go in the next round, from the trash, too.

    Raises `NotFound`.
    """
    if now and trash(access.workspace).filter(pk=asset_id).update(discard_at=Now()):
        return
    asset = asset_of(access.workspace, asset_id)
    end = Now() if now else Now() + settings.TRASH_LIFETIME
    if not Asset.objects.filter(pk=asset.pk, deleted_at=None).update(deleted_at=Now(), discard_at=end):
        raise NotFound(f"no asset has the id {asset_id}")


def empty(workspace: Workspace) -> int:
    """Have everything in the workspace's trash go in the next round. Returns how much that is."""
    return trash(workspace).update(discard_at=Now())


@transaction.atomic
def restore(access: Access, asset_id: UUID, *, admit: Admit | None = None) -> Asset:
    """Put an asset back into the library. Raises `NotFound` for what is not in the trash, or as `admit`."""
    hold_workspace(access.workspace.pk)
    asset = trashed(access.workspace, asset_id)
    if admit:
        admit(used_bytes(asset.workspace_id), asset.size_bytes)
    if not trash(access.workspace).filter(pk=asset_id).update(deleted_at=None, discard_at=None):
        raise NotFound(f"no asset in the trash has the id {asset_id}")
    asset.deleted_at = asset.discard_at = None
    return asset


def is_due() -> bool:
    """Whether there is anything whose files are to go."""
    return _due().exists()


def discard_due(until: float) -> int:
    """Remove the files of what has been in the trash for long enough. Returns of how many assets.

    Goes on while there are any, up to `until` on the monotonic clock. Safe to run twice at once. What cannot be
    removed stays written down as there, and is tried again in the next round.
    """
    done = failures = 0
    after: tuple[datetime, UUID] | None = None
    while time.monotonic() < until and failures < PATIENCE and (batch := _batch(after)):
        for asset in batch:
            try:
                _discard(asset)
            except Exception as error:  # noqa: BLE001  each kind of storage has errors of its own
                log.warning("the files of the asset %s could not be removed: %s", asset.pk, error)
                failures += 1
            else:
                done, failures = done + 1, 0
            if failures == PATIENCE or time.monotonic() >= until:
                break
        assert batch[-1].discard_at is not None  # noqa: S101  the filter leaves out None
        after = batch[-1].discard_at, batch[-1].pk
    return done


def _due() -> QuerySet[Asset]:
    """Those whose time has come, but for clips that are just being given another form."""
    making = Rendition.objects.filter(
        asset=OuterRef("pk"), state=Rendition.State.MAKING, lease_expires_at__gt=Now()
    )
    return Asset.objects.filter(
        ~Exists(making), deleted_at__isnull=False, discard_at__lte=Now(), discarded_at=None
    )


def _batch(after: tuple[datetime, UUID] | None) -> list[Asset]:
    due = _due()
    if after is not None:
        due = due.filter(Q(discard_at__gt=after[0]) | Q(discard_at=after[0], pk__gt=after[1]))
    return list(due.only("workspace_id", "discard_at").order_by("discard_at", "pk")[:BATCH])


def _discard(asset: Asset) -> None:
    """Everything of it: the file, what was made from it, and what was found out about the people in it."""
    discard_tree(folder_of(asset.workspace_id, asset.pk))
    with transaction.atomic():
        Rendition.objects.filter(asset=asset).delete()
        Asset.objects.filter(pk=asset.pk, discarded_at=None).update(
            discarded_at=Now(), portrait=None, moderation=None
        )
