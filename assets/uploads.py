"""What may be done with uploads that go straight to the storage: announce one, send it, complete it, give it up.

`assets.arrivals` has what comes after: the file that is there is inspected and becomes an asset.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from math import ceil
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from assets.models import Upload
from assets.selectors import announced_bytes, upload_of, used_bytes
from assets.services import NAME_LENGTH
from assets.storage import Incoming, Part, PartLink, media
from mutoscope.accounts.models import Workspace
from mutoscope.accounts.selectors import Access
from mutoscope.accounts.services import hold_workspace
from mutoscope.errors import Conflict, Refusal

log = logging.getLogger(__name__)

AdmitAnnounced = Callable[[int, int, int], None]
"""Told the bytes that the library has, those of the file, and those of others that are on their way."""

MAX_PARTS = 10_000
"""S3's limit."""
MAX_UNDER_WAY = 100
"""Uploads of a workspace at once: whoever announces more than that never sends them."""
KEPT = timedelta(days=30)
"""How long it can be asked what became of an upload."""
BATCH = 100

State = Upload.State
_COMPLETED = (State.INSPECTING, State.READY, State.REFUSED)


class TooLarge(Refusal):
    """The file has more bytes than any may have."""

    status = 413
    code = "too_large"


class TooManyUploads(Refusal):
    """So many are under way that another has to wait."""

    status = 429
    code = "too_many_uploads"
    retry_after: ClassVar[int | None] = 30


class Ended(Conflict):
    """Nothing more can be done with the upload."""

    code = "upload_ended"


class PartsMissing(Conflict):
    """The file is not there whole; `parts` tells what is wrong with which."""

    code = "parts_missing"


def incoming_of(upload: Upload) -> Incoming:
    """The upload as its storage knows it."""
    return Incoming(upload.pk, upload.size_bytes, upload.part_bytes, upload.multipart_id)


def announce(
    access: Access, name: str, size_bytes: int, *, sha256: str = "", admit: AdmitAnnounced | None = None
) -> Upload:
    """Make ready for a file of exactly so many bytes. Raises `TooLarge`, `TooManyUploads`, `NotFound`
    for a workspace that was deleted, or what `admit` raises.

    With `sha256`, in hexadecimal, a file that arrives as anything else is refused.
    """
    if size_bytes > settings.UPLOAD_MAX_BYTES:
        raise TooLarge(
            f"a file may have at most {settings.UPLOAD_MAX_BYTES:,} bytes, but this one has {size_bytes:,}",
            field="size_bytes",
        )
    upload = Upload(
        workspace=access.workspace,
        created_by=access.user,
        name=(name or "unnamed")[-NAME_LENGTH:],
        size_bytes=size_bytes,
        part_bytes=max(settings.UPLOAD_PART_BYTES, ceil(size_bytes / MAX_PARTS)),
        sha256=sha256.lower(),
        expires_at=timezone.now() + settings.UPLOAD_LIFETIME,
    )
    with transaction.atomic():  # held, so that of two at once only one gets the last place
        hold_workspace(access.workspace.pk)
        _check_crowd(access.workspace)
        if admit:
            admit(used_bytes(access.workspace.pk), size_bytes, announced_bytes(access.workspace.pk))
        upload.save(force_insert=True)
    # The row first: what the storage holds and no row knows of is removed.
    try:
        upload.multipart_id = media().begin(incoming_of(upload))
    except BaseException:
        upload.delete()
        raise
    if upload.multipart_id:
        upload.save(update_fields=["multipart_id"])
    return upload


def _check_crowd(workspace: Workspace) -> None:
    crowd = Upload.objects.filter(workspace=workspace, state__in=Upload.UNDER_WAY).count()
    if crowd >= MAX_UNDER_WAY:
        raise TooManyUploads(
            f"a workspace may have {MAX_UNDER_WAY} uploads under way at once, and {crowd} are; "
            "complete or delete some"
        )


def part_links(upload: Upload, parts: Collection[Part]) -> tuple[list[PartLink], datetime]:
    """A fresh link for each of the parts, and until when they work."""
    now = timezone.now()
    lifetime = min(settings.UPLOAD_LINK_LIFETIME, upload.expires_at - now)
    incoming = incoming_of(upload)
    return [media().part_link(incoming, part, lifetime) for part in parts], now + lifetime


def parts_to_send(access: Access, upload_id: UUID, numbers: Collection[int] = ()) -> tuple[Upload, list[Part]]:
    """The parts of these numbers; without any, those that have not arrived.

    Raises `NotFound`, `Ended`, or `Refusal` for a number that the upload does not have.
    """
    upload = upload_of(access.workspace, upload_id)
    _check_open(upload)
    incoming = incoming_of(upload)
    parts = incoming.parts
    if unknown := sorted(set(numbers) - {part.number for part in parts}):
        raise Refusal(f"the upload has the parts 1 to {len(parts)}, but not {unknown[0]}", field="numbers")
    if numbers:
        return upload, [part for part in parts if part.number in numbers]
    received = media().received(incoming)
    return upload, [part for part in parts if received.get(part.number) != part.size]


def complete(access: Access, upload_id: UUID) -> tuple[Upload, bool]:
    """Say that all parts have been sent. Returns the upload, and whether this call made it wait for inspection.

    The storage is asked what has arrived. Completing twice is completing once. Raises `NotFound`, `Ended` for
    one that was given up, `PartsMissing`.
    """
    upload = upload_of(access.workspace, upload_id)
    if upload.state in _COMPLETED:
        return upload, False
    _check_open(upload)
    missing = _parts_missing(upload)
    changed = not missing and Upload.objects.filter(pk=upload.pk, state=State.OPEN).update(state=State.INSPECTING)
    upload.refresh_from_db()
    if changed or upload.state in _COMPLETED:  # by another call, after which the parts may be gone already
        return upload, bool(changed)
    raise missing or Ended(f"the upload takes nothing more: it is {upload.state}")


def _parts_missing(upload: Upload) -> PartsMissing | None:
    """What is wrong with what has arrived; None where it is all there."""
    incoming = incoming_of(upload)
    received = media().received(incoming)
    wrong: list[dict[str, Any]] = [
        {"number": part.number, "size_bytes": part.size, "received_bytes": received.get(part.number)}
        for part in incoming.parts
        if received.get(part.number) != part.size
    ]
    if not wrong:
        return None
    first = wrong[0]
    arrived = "it has not arrived" if first["received_bytes"] is None else f"{first['received_bytes']:,} have"
    return PartsMissing(
        f"{len(wrong)} of {len(incoming.parts)} parts are not there as announced: "
        f"part {first['number']} must have {first['size_bytes']:,} bytes, but {arrived}",
        parts=wrong,
    )


def abandon(access: Access, upload_id: UUID) -> None:
    """Give an upload up; nothing of it is kept. Raises `NotFound`, or `Ended` where something became of it."""
    upload = upload_of(access.workspace, upload_id)
    if not _abandon(upload):
        upload.refresh_from_db()
        if upload.state != State.ABANDONED:
            raise Ended(f"the upload has ended: it is {upload.state}")


def _check_open(upload: Upload) -> None:
    """Raise `Ended` for one that takes nothing more."""
    if upload.state != State.OPEN:
        raise Ended(f"the upload takes nothing more: it is {upload.state}")
    if upload.expires_at <= timezone.now():
        raise Ended(f"the upload takes nothing more: it expired at {upload.expires_at:%Y-%m-%d %H:%M} UTC")


def _abandon(upload: Upload) -> bool:
    """Returns whether this call did. What is left in the storage when that is away is swept later."""
    changed = Upload.objects.filter(pk=upload.pk, state__in=Upload.UNDER_WAY).update(
        state=State.ABANDONED, lease_expires_at=None
    )
    if changed:
        transaction.on_commit(lambda: discard(upload))
    return bool(changed)


def discard(upload: Upload) -> None:
    """Remove what the storage holds of an upload that has ended."""
    try:
        media().discard(incoming_of(upload))
    except Exception:
        log.exception("what is left of the upload %s could not be removed; that is tried again", upload.pk)


# --- Upkeep: safe to run twice at once, and when late --------------------------------------------------------


def abandon_expired() -> int:
    """Give up the uploads that were not completed in time. Returns how many."""
    late = Upload.objects.filter(state=State.OPEN, expires_at__lt=Now()).order_by("expires_at")
    return sum(map(_abandon, late[:BATCH]))


def sweep() -> int:
    """Remove what the storage holds of uploads that are not under way. Returns of how many.

    That is: what came by a link after the end, what could not be removed then, what a deleted workspace left.
    """
    held = list(media().held())
    active = set(
        Upload.objects.filter(pk__in={found.id for found in held}, state__in=Upload.UNDER_WAY).values_list(
            "pk", flat=True
        )
    )
    waste = [found for found in held if found.id not in active]
    for found in waste:
        media().discard(found)
    return len({found.id for found in waste})


def forget() -> int:
    """Remove the rows of uploads that ended long ago. Returns how many."""
    old = Upload.objects.filter(~Q(state__in=Upload.UNDER_WAY), created_at__lt=Now() - KEPT)
    return Upload.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:BATCH])).delete()[0]
