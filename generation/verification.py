"""Whether a file was made here, and by which job: by the mark that every clip carries invisibly."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import BoundedSemaphore
from typing import IO, TYPE_CHECKING, Any
from uuid import UUID

from django.conf import settings
from django.core.cache import cache
from redis.exceptions import RedisError

from assets.inspection.content import HEAD_BYTES, is_clip, picture_type, refusal_of_unknown
from assets.inspection.rules import Refusal as Fault
from assets.inspection.rules import Rejected, check_bytes
from assets.selectors import asset_of
from assets.services import UploadRefused
from generation.models import Job
from generation.models.jobs import last_mark
from generation.outputs.watermark.keys import reading_keys
from mutoscope.accounts.selectors import Access
from mutoscope.clock import database_time
from mutoscope.errors import Refusal
from mutoscope.media import MediaError

if TYPE_CHECKING:
    from generation.outputs.watermark.reading import Reading

log = logging.getLogger(__name__)

ACCEPTED = "MP4, MOV, WebM and MKV video, and JPEG, PNG, WebP, AVIF and GIF pictures"
_AT_ONCE = BoundedSemaphore(2)
"""In a process: reading is work for a processor, and the pages must stay quick."""


class Busy(Refusal):
    """As many files as this process reads at once are being read."""

    status = 503
    code = "busy"
    retry_after = 5


class TooMany(Refusal):
    """The workspace has asked as often as it may in this minute."""

    status = 429
    code = "too_many_verifications"
    retry_after = 60


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a marked file comes from.

    `job` is None where the job is gone from the database; `strength` is in standard deviations of chance.
    """

    mark: int
    strength: float
    job: Job | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a workspace may learn of a file: the job itself only where it is its own."""

    made_here: bool
    made_at: datetime | None = None
    job: Job | None = None
    strength: float | None = None


def origin_of(path: Path) -> Origin | None:
    """Where the file comes from, or None where it carries no mark of this installation.

    The file is taken for hostile. Raises `UploadRefused` for what is neither a clip nor a picture.
    """
    try:
        reading = _read(path)
    except MediaError as error:
        raise UploadRefused(Rejected(_FAULTS[error.fault.value], str(error))) from error
    if reading is None:
        return None
    job = Job.objects.filter(mark=reading.mark).select_related("workspace").first()
    return Origin(reading.mark, reading.strength, job)


def verify_upload(access: Access, file: IO[bytes], name: str, size: int) -> Answer:
    """Whether an uploaded file was made here. Nothing of it is kept.

    Raises `UploadRefused`, `TooMany` or `Busy`.
    """
    try:
        check_bytes(size, settings.VERIFY_MAX_BYTES, "Files to verify")
    except Rejected as rejected:
        raise UploadRefused(rejected) from rejected
    return _answer(access, file, name)


def verify_asset(access: Access, asset_id: UUID) -> Answer:
    """Whether an asset of the workspace's library was made here. Raises `NotFound`, and as `verify_upload`."""
    asset = asset_of(access.workspace, asset_id)
    with asset.file.open("rb") as file:
        return verify_upload(access, file, asset.name, asset.size_bytes)


def origin_of_upload(file: IO[bytes], name: str) -> Origin | None:
    """`origin_of` for a file that is not on this disk under a name of its own; `name` serves a refusal alone."""
    with _a_place(), tempfile.TemporaryDirectory(prefix="mutoscope-verify-") as folder:
        # Not its own name: that is the sender's.
        path = Path(folder) / "file"
        with path.open("wb") as copy:
            shutil.copyfileobj(file, copy, 2**20)
        _check_kind(path, name)
        return origin_of(path)


def _answer(access: Access, file: IO[bytes], name: str) -> Answer:
    _count(access)
    origin = origin_of_upload(file, name)
    if origin is None:
        return Answer(made_here=False)
    job = origin.job
    is_own = job is not None and job.workspace_id == access.workspace.pk
    return Answer(True, job.ended_at if job else None, job if is_own else None, round(origin.strength, 1))


def _read(path: Path) -> Reading | None:
    # Here, for they bring numpy and OpenCV: a web process that nobody asks needs neither.
    from generation.outputs.watermark.reading import read_clip, read_picture

    with path.open("rb") as file:
        read = read_clip if is_clip(file.read(HEAD_BYTES)) else read_picture
    return read(path, keys=reading_keys(), issued=last_mark())


def _check_kind(path: Path, name: str) -> None:
    """Raise `UploadRefused` for what is not even by its first bytes what can be read."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise UploadRefused(Rejected(Fault.EMPTY, "The file is empty: it has 0 bytes."))
    if not (is_clip(head) or picture_type(head) or head.startswith(b"GIF8")):
        raise UploadRefused(refusal_of_unknown(head, name, ACCEPTED))


@contextmanager
def _a_place() -> Iterator[None]:
    if not _AT_ONCE.acquire(blocking=False):
        raise Busy("other files are being read just now; try again in a few seconds")
    try:
        yield
    finally:
        _AT_ONCE.release()


def _count(access: Access) -> None:
    """Raise `TooMany` where the workspace has asked too often; while Redis is away nothing is refused."""
    allowed = settings.VERIFICATIONS_PER_MINUTE
    key = f"verifications:{access.workspace.pk}:{int(database_time().timestamp() // 60)}"
    try:
        cache.add(key, 0, 120)
        made = cache.incr(key)
    except (RedisError, ValueError) as error:  # a ValueError: Redis has thrown the count out meanwhile
        log.warning("verifications could not be counted (they go on uncounted): %s", error)
        return
    if made > allowed:
        raise TooMany(f"a workspace may have {allowed} files verified a minute, and as many have been")


_FAULTS: dict[str, Any] = {
    "damaged": Fault.TRUNCATED, "unsupported": Fault.UNSUPPORTED_TYPE, "overdue": Fault.TOO_LARGE,
}  # fmt: skip
