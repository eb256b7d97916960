"""How assets come into a library. How they leave it: `assets.trash`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.db.models import FileField

from assets.inspection import Limits, Picture, Rejected, inspect_upload
from assets.models import Asset
from assets.selectors import used_bytes
from mutoscope.accounts.selectors import Access
from mutoscope.accounts.services import hold_workspace
from mutoscope.errors import Refusal

Admit = Callable[[int, int], None]
"""Told the bytes that the library has and those that are to come. Raises a `Refusal` where they are too many."""

Publish = Callable[[Asset], None]
"""Told of the asset in the transaction that makes it. What it raises undoes it."""

NAME_LENGTH = 255
_STATUS = {"too_large": 413, "unsupported_type": 415, "type_mismatch": 415}


class UploadRefused(Refusal):
    """The file is not accepted; nothing of it was kept."""

    def __init__(self, rejected: Rejected) -> None:
        super().__init__(rejected.message, code=rejected.code.value, field="file")
        self.status = _STATUS.get(self.code, 400)  # type: ignore[misc]  # by code, not by class


def upload(
    access: Access, file: UploadedFile[Any], *, admit: Admit | None = None, publish: Publish | None = None
) -> Asset:
    """Inspect an uploaded file and keep it, cleaned, in the workspace's library. Without `admit`, any size goes.

    Raises `UploadRefused`, or what `admit` or `publish` raise; then nothing of it was kept.
    """
    limits = Limits(
        max_picture_bytes=settings.PICTURE_MAX_BYTES,
        max_video_bytes=settings.UPLOAD_MAX_BYTES,
        max_pixels=settings.PICTURE_MAX_PIXELS,
    )
    try:
        found = inspect_upload(file.file, file.name or "", limits)  # type: ignore[arg-type]
    except Rejected as rejected:
        raise UploadRefused(rejected) from rejected
    asset = Asset(
        workspace=access.workspace,
        created_by=access.user,
        kind=found.kind,
        origin=Asset.Origin.UPLOADED,
        name=(file.name or "unnamed")[-NAME_LENGTH:],
        media_type=found.clean.media_type,
        uploaded_type=found.media_type,
        sha256=found.sha256,
        width=found.width,
        height=found.height,
        color=found.color or "",
    )
    content: File[Any]
    if isinstance(found, Picture):
        content = ContentFile(found.clean.data)
    else:
        asset.seconds, asset.fps = found.duration, found.fps
        content = File(found.clean.file)
    with content:
        asset.size_bytes = content.size
        thumbnail = found.thumbnail.data if found.thumbnail else None
        _keep(asset, content, f"asset{found.clean.extension}", thumbnail, admit, publish)
    return asset


def _keep(
    asset: Asset,
    content: File[Any],
    name: str,
    thumbnail: bytes | None,
    admit: Admit | None,
    publish: Publish | None,
) -> None:
    """Files first, row last: what fails in between leaves no row, and its files are taken away again."""
    if admit:
        admit(used_bytes(asset.workspace_id), asset.size_bytes)  # before anything is stored in vain
    try:
        asset.file.save(name, content, save=False)
        if thumbnail:
            asset.thumbnail.save("thumbnail.webp", ContentFile(thumbnail), save=False)
        with transaction.atomic():
            hold_workspace(asset.workspace_id)
            if admit:  # once more, and alone: of two uploads at once only one gets the last place
                admit(used_bytes(asset.workspace_id), asset.size_bytes)
            asset.save(force_insert=True)
            if publish:
                publish(asset)
    except BaseException:
        discard_files(asset)
        raise


def discard_files(asset: Asset) -> None:
    """Remove the files of an asset that was not kept from storage, those that are there."""
    for column in Asset._meta.concrete_fields:
        if isinstance(column, FileField) and (stored := getattr(asset, column.name)):
            stored.delete(save=False)
