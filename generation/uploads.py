"""Uploads within what the workspace's plan lets it keep: what the API, the pages and the media workers call."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from kombu.exceptions import OperationalError

from assets import arrivals, services
from assets import uploads as direct
from assets.models import Asset, Upload
from assets.services import Publish
from billing.entitlements import entitlements_of
from generation import limits
from mutoscope.accounts.selectors import Access
from mutoscope.celery import MEDIA_QUEUE, UPLOADS_INTERVAL, app

log = logging.getLogger(__name__)

TASK = "generation.inspect_upload"


def upload(access: Access, file: UploadedFile[Any], *, publish: Publish | None = None) -> Asset:
    """Keep an uploaded file in the workspace's library. Raises `UploadRefused` or `LimitReached`."""
    plan = entitlements_of(access.workspace.pk)
    admit = partial(limits.check_upload, plan) if plan.storage_mib is not None else None
    return services.upload(access, file, admit=admit, publish=publish)


def announce(access: Access, name: str, size_bytes: int, *, sha256: str = "") -> Upload:
    """Make ready for a file that is sent straight to the storage. Raises as it does there, or `LimitReached`."""
    plan = entitlements_of(access.workspace.pk)
    admit = partial(limits.check_upload, plan) if plan.storage_mib is not None else None
    return direct.announce(access, name, size_bytes, sha256=sha256, admit=admit)


def complete(access: Access, upload_id: UUID) -> Upload:
    """Have a file inspected that has arrived whole. Raises as `assets.uploads.complete`."""
    found, changed = direct.complete(access, upload_id)
    if changed:
        transaction.on_commit(lambda: _issue(upload_id))
    return found


def inspect(upload_id: UUID) -> None:
    """Make the asset of an upload that has arrived whole, or refuse it: what media workers do."""
    arrivals.look_into(upload_id, keep=upload)


def tend() -> None:
    """Give up what was not sent in time, and have inspected what waits for it, whatever became of its ticket."""
    direct.abandon_expired()
    for upload_id in arrivals.waiting():
        _issue(upload_id)


def _issue(upload_id: UUID) -> None:
    """Send a ticket. It is worth nothing once the next round of `tend` has sent another."""
    try:
        app.send_task(
            TASK,
            args=[str(upload_id)],
            queue=MEDIA_QUEUE,
            expires=UPLOADS_INTERVAL,
            ignore_result=True,
            retry=False,
        )
    except OperationalError as error:
        log.warning("no ticket could be sent for the upload %s (reissued later): %s", upload_id, error)
