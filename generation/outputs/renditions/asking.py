"""Asking for a clip in another form, or for its own file without the mark: one row for each, whoever asks."""

from __future__ import annotations

import logging
from functools import partial
from uuid import UUID

from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from kombu.exceptions import OperationalError

from assets.models import Asset, Rendition
from assets.selectors import asset_of
from billing.entitlements import Entitlements, entitlements_of
from billing.errors import LimitReached
from generation.limits import check_format, check_unmarked
from generation.outputs.encoding import Form
from generation.outputs.renditions.originals import NotAClip, Original, Wish
from generation.outputs.visible import digest_of
from mutoscope.accounts.models import Workspace
from mutoscope.accounts.selectors import Access
from mutoscope.celery import MEDIA_QUEUE, app
from mutoscope.errors import Conflict, NotFound

log = logging.getLogger(__name__)

TASK = "generation.make_rendition"
WAITING = 20
"""Renditions of one workspace that may wait to be made at once."""
KEPT = 24
"""Renditions of one clip that are kept at once; the one that was not asked for the longest gives way."""
WAITING_RETRY = 5
"""Seconds after which it is worth asking again whether one of those that wait is made."""

State = Rendition.State


class NothingToReissue(Conflict):
    """The clip's file cannot be made anew, or need not."""

    code = "nothing_to_reissue"


class StillMarked(Conflict):
    """The workspace's own mark is on, so a new file would carry it."""

    code = "still_marked"


def ask(access: Access, asset_id: UUID, wish: Wish) -> Rendition:
    """The clip in that form: made already, or about to be.

    Raises `NotFound`, `NotAClip`, `ImpossibleForm`, `NotInPlan` or `LimitReached`.
    """
    clip = clip_of(access.workspace, asset_id)
    form = Original.of(clip).complete(wish)
    check_format(entitlements_of(access.workspace.pk), form.format)
    return _once(clip, form, mark=digest_of(access.workspace.pk))


def reissue(access: Access, asset_id: UUID) -> Rendition:
    """Have the clip's own file made anew from its master, without the visible mark.

    The rendition that is given takes the place of the file when it is made, and is gone then. Raises `NotFound`,
    `NotAClip`, `NothingToReissue`, `NotInPlan`, `StillMarked` or `LimitReached`.
    """
    clip = clip_of(access.workspace, asset_id)
    if not clip.is_marked:
        raise NothingToReissue("the clip's file carries no visible mark")
    if not clip.master:
        raise NothingToReissue("the clip was kept with its mark alone, so there is nothing to make it anew from")
    check_unmarked(entitlements_of(access.workspace.pk))
    if digest_of(access.workspace.pk):
        raise StillMarked("the workspace's own mark is on, so the clip would carry it again; turn it off first")
    return _once(clip, Original.of(clip).own, mark="", is_reissue=True)


def may_reissue(clip: Asset, plan: Entitlements) -> bool:
    """Whether `reissue` would make the clip's file anew."""
    can = clip.is_marked and bool(clip.master) and not plan.watermark
    return can and not digest_of(clip.workspace_id)


def renditions_of(workspace: Workspace, asset_id: UUID) -> QuerySet[Rendition]:
    """The clip's renditions with the mark that holds now, newest first. Raises `NotFound` or `NotAClip`."""
    clip = clip_of(workspace, asset_id)
    found = Rendition.objects.filter(asset=clip, is_reissue=False, mark=digest_of(workspace.pk))
    return found.select_related("asset").order_by("-id")


def rendition_of(workspace: Workspace, asset_id: UUID, rendition_id: UUID) -> Rendition:
    """One rendition of the clip. Raises `NotFound` or `NotAClip`."""
    clip = clip_of(workspace, asset_id)
    found = Rendition.objects.filter(asset=clip, pk=rendition_id, is_reissue=False).select_related("asset").first()
    if found is None:
        raise NotFound(f"the clip has no rendition with the id {rendition_id}")
    return found


def reissue_of(clip: Asset) -> Rendition | None:
    """The reissue of the clip's file that is under way or failed."""
    return Rendition.objects.filter(asset=clip, is_reissue=True).order_by("-id").first()


def clip_of(workspace: Workspace, asset_id: UUID) -> Asset:
    """A video of the workspace's library. Raises `NotFound` or `NotAClip`."""
    asset = asset_of(workspace, asset_id)
    if asset.kind != Asset.Kind.VIDEO:
        raise NotAClip(f"only videos can be had in other forms, but this is of the kind {asset.kind}")
    return asset


def make_after_all(chosen: QuerySet[Rendition]) -> int:
    """Have those of them that failed wait anew, with all their tries. Returns how many."""
    failed = chosen.filter(state=State.FAILED, asset__deleted_at=None)
    changed = failed.update(state=State.QUEUED, attempts=0, error="", lease_expires_at=None, used_at=Now())
    for _ in range(changed):
        transaction.on_commit(issue_ticket)
    return changed


def issue_ticket() -> None:
    """Have the media process look for a rendition to make. A ticket names none; lost ones are made again."""
    try:
        app.send_task(TASK, queue=MEDIA_QUEUE, ignore_result=True, retry=False)
    except OperationalError as error:
        log.warning("no ticket could be sent to %s (reissued later): %s", MEDIA_QUEUE, error)


def _once(clip: Asset, form: Form, *, mark: str, is_reissue: bool = False) -> Rendition:
    """The one row of this form, made or used again. Of several that ask at once, one makes it."""
    wanted = {
        "asset": clip, "format": form.format, "quality": form.quality, "fps": form.fps, "width": form.width,
        "loop": form.loop, "mark": mark, "is_reissue": is_reissue,
    }  # fmt: skip
    with transaction.atomic():
        Workspace.objects.select_for_update(no_key=True).get(pk=clip.workspace_id)
        found = Rendition.objects.filter(**wanted).first()
        if found is None:
            _check_waiting(clip.workspace_id)
            _make_room(clip)
            found = Rendition.objects.create(**wanted)
            transaction.on_commit(issue_ticket)
        elif found.state == State.FAILED:
            _check_waiting(clip.workspace_id)
            make_after_all(Rendition.objects.filter(pk=found.pk))
        else:
            Rendition.objects.filter(pk=found.pk).update(used_at=Now())
        found.refresh_from_db()
    return found


def _check_waiting(workspace_id: UUID) -> None:
    """It holds for as long as the workspace is locked."""
    waiting = Rendition.objects.filter(asset__workspace=workspace_id, state__in=Rendition.OPEN).count()
    if waiting >= WAITING:
        raise LimitReached(
            f"a workspace may have {WAITING} clips waiting to be made in other forms, and {waiting} are; "
            "try again when one is made",
            limit="waiting_renditions", allowed=WAITING, used=waiting, retry_after=WAITING_RETRY,
        )  # fmt: skip


def _make_room(clip: Asset) -> None:
    """Let go of those that were not asked for the longest, so that one more has room."""
    ended = Rendition.objects.filter(asset=clip, state__in=Rendition.ENDED).order_by("-used_at", "-id")
    for surplus in ended[KEPT - 1 :]:
        surplus.delete()
        if surplus.file.name:
            transaction.on_commit(partial(default_storage.delete, surplus.file.name))
