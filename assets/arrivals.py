"""From a file that has arrived whole to its asset: fetched, inspected like any other upload, kept or refused.

An upload is taken up under a lease, by an attempt with a number. Whoever lost the lease can no longer make an
asset of it: the asset and the upload's new state are one transaction, which needs the number.
"""

from __future__ import annotations

import hashlib
import io
import logging
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.db import DatabaseError, connection
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from assets.models import Asset, Upload
from assets.services import Publish
from assets.storage import media
from assets.uploads import BATCH, discard, incoming_of
from mutoscope.accounts.selectors import Access
from mutoscope.errors import Refusal

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
MAX_ATTEMPTS = 6
FIRST_REST = timedelta(seconds=15)
"""After a fault of ours it is let rest, each time for twice as long: a storage that is away may come back."""

State = Upload.State
_IS_FREE = Q(lease_expires_at=None) | Q(lease_expires_at__lt=Now())


class Keep(Protocol):
    """Inspects a file and keeps it, as `assets.services.upload` does. Raises `Refusal`."""

    def __call__(self, access: Access, file: UploadedFile[Any], *, publish: Publish) -> Asset: ...


class ChecksumMismatch(Refusal):
    """What arrived is not what was announced."""

    code = "checksum_mismatch"


class _Lost(Exception):
    """The upload was given up, or another attempt has it."""


class _Fetched(io.BufferedReader):
    """A local file that tells where it is, as Django's temporary uploads do: it need not be copied for ffmpeg."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._path = path

    def temporary_file_path(self) -> str:
        return str(self._path)


def waiting() -> list[UUID]:
    """Uploads to be taken up for inspection, the oldest first."""
    free = Upload.objects.filter(_IS_FREE, state=State.INSPECTING).order_by("pk")
    return list(free.values_list("pk", flat=True)[:BATCH])


def look_into(upload_id: UUID, keep: Keep) -> None:
    """Inspect one upload and make its asset, or refuse it; nothing where it is in other hands or has ended."""
    upload = _take_up(upload_id)
    if upload is None:
        return
    if upload.attempts > MAX_ATTEMPTS:
        _refuse(
            upload,
            "inspection_failed",
            f"the file could not be looked into, {MAX_ATTEMPTS} times; that is our fault, upload it again later",
        )
        return
    try:
        with _lease_renewed(upload), tempfile.TemporaryDirectory(prefix="mutoscope-upload-") as folder:
            _make_asset(upload, Path(folder) / "whole", keep)
    except Refusal as refusal:
        _refuse(upload, refusal.code, refusal.message)
    except _Lost:
        log.info("the upload %s was given up, or is in other hands", upload.pk)
    except Exception:
        if not _let_rest(upload):
            log.info("the upload %s was given up while it was looked into", upload.pk)
            return
        raise
    else:
        discard(upload)


def _make_asset(upload: Upload, path: Path, keep: Keep) -> None:
    media().fetch(incoming_of(upload), path)
    if upload.sha256:
        _check_sum(upload, path)
    access = Access(workspace=upload.workspace, scopes=frozenset(), user=upload.created_by)
    with _Fetched(path) as content:
        file: UploadedFile[Any] = UploadedFile(content, upload.name, size=upload.size_bytes)
        keep(access, file, publish=partial(_accept, upload))


def _check_sum(upload: Upload, path: Path) -> None:
    with path.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != upload.sha256:
        raise ChecksumMismatch(f"the file must have the SHA-256 {upload.sha256}, but has {found}", field="sha256")


# --- Changes of state: each is one conditional UPDATE ------------------------------------------------------------


def _take_up(upload_id: UUID) -> Upload | None:
    free = Upload.objects.filter(_IS_FREE, pk=upload_id, state=State.INSPECTING)
    if not free.update(lease_expires_at=Now() + LEASE, attempts=F("attempts") + 1):
        return None
    return Upload.objects.select_related("workspace", "created_by").get(pk=upload_id)


def _held(upload: Upload) -> QuerySet[Upload]:
    """The upload's row, as long as this attempt has it."""
    return Upload.objects.filter(pk=upload.pk, state=State.INSPECTING, attempts=upload.attempts)


def _accept(upload: Upload, asset: Asset) -> None:
    if not _held(upload).update(state=State.READY, asset=asset, lease_expires_at=None):
        raise _Lost


def _refuse(upload: Upload, code: str, message: str) -> None:
    if _held(upload).update(state=State.REFUSED, error_code=code, error=message, lease_expires_at=None):
        discard(upload)


def _let_rest(upload: Upload) -> bool:
    rest = FIRST_REST * 2 ** (upload.attempts - 1)
    return bool(_held(upload).update(lease_expires_at=Now() + rest))


@contextmanager
def _lease_renewed(upload: Upload) -> Iterator[None]:
    """A long film takes longer than a lease, and a lease that were longer would make people wait after a crash."""
    over = threading.Event()

    def renew() -> None:
        try:
            while not over.wait(LEASE.total_seconds() / 3):
                _held(upload).update(lease_expires_at=Now() + LEASE)
        except DatabaseError as error:
            log.warning("the lease of the upload %s could not be renewed: %s", upload.pk, error)
        finally:
            connection.close()

    thread = threading.Thread(target=renew, name=f"lease-{upload.pk}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
