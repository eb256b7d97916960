"""Objects in the storage, listed and removed by folder: on local disk and in S3 alike, however many there are.

Django's storages list one folder at a time and remove one file at a time. Here S3 is asked for its keys page by
page, and told a thousand of them at once; on disk the folders are walked while they are read. Nothing is held in
memory but a page.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import FileSystemStorage, default_storage

PAGE = 1000
"""Objects that S3 lists, and removes, in one request at most."""


class StorageAway(OSError):
    """The storage does not do what it was asked, or is not there: what it holds is as it was, or in part."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object in the storage. `name` is as in file fields; `size` in bytes; `modified_at` is in UTC."""

    name: str
    size: int
    modified_at: datetime
    multipart_id: str = ""
    """Of one that is not an object yet: parts were sent of it, and nobody has completed it."""


def listing(folder: str = "") -> Iterator[Stored]:
    """Every object in the folder and below it, in no particular order; all there is where none is named."""
    if isinstance(default_storage, FileSystemStorage):
        yield from _on_disk(default_storage, folder)
    else:
        location = _location()
        for item in _bucket().objects.filter(Prefix=_prefix(folder)):
            yield Stored(item.key.removeprefix(location), item.size, item.last_modified)


def unfinished(folder: str = "") -> Iterator[Stored]:
    """Files of which S3 has parts, in the folder and below it: whoever sent them was killed, or is still at it.

    They are in no listing, and cost as much as objects. Local disk has none.
    """
    if isinstance(default_storage, FileSystemStorage):
        return
    location = _location()
    for upload in _bucket().multipart_uploads.filter(Prefix=_prefix(folder)):
        try:
            size = sum(part.size for part in upload.Object().MultipartUpload(upload.id).parts.all())
        except ClientError as error:
            if not _is_over(error):
                raise
        else:
            yield Stored(upload.object_key.removeprefix(location), size, upload.initiated, upload.id)


def discard_tree(folder: str) -> None:
    """Remove the folder with everything in it. One that is not there is no error.

    Raises `StorageAway`, or an error of the storage's own: then some of it may still be there.
    """
    if not folder.strip("/"):
        raise ValueError("the folder to remove must be named: without a name it is the whole storage")
    if isinstance(default_storage, FileSystemStorage):
        if not is_there():
            # A disk that is not mounted is not empty: what lies on it has not gone.
            raise StorageAway(f"the storage's folder {default_storage.base_location} is not there")
        discard(stored.name for stored in _on_disk(default_storage, folder))
        _remove_folders(Path(default_storage.path(folder)))
    else:
        location = _location()
        keys = (item.key for item in _bucket().objects.filter(Prefix=_prefix(folder)))
        discard(key.removeprefix(location) for key in keys)
        for upload in _bucket().multipart_uploads.filter(Prefix=_prefix(folder)):
            _abort(upload.object_key, upload.id)


def discard(names: Iterable[str]) -> None:
    """Remove objects, those that are there. Raises as `discard_tree`."""
    if isinstance(default_storage, FileSystemStorage):
        for name in names:
            default_storage.delete(name)
        return
    location, left = _location(), iter(names)
    while page := list(islice(left, PAGE)):
        keys = [{"Key": location + name} for name in page]
        answer = _bucket().delete_objects(Delete={"Objects": keys, "Quiet": True})
        if errors := answer.get("Errors"):
            first = errors[0]
            raise StorageAway(f"{len(errors)} objects stay, such as {first.get('Key')}: {first.get('Message')}")


def is_there() -> bool:
    """False where local media have no folder: it is not mounted, or nothing has ever been stored."""
    return not isinstance(default_storage, FileSystemStorage) or Path(default_storage.base_location).is_dir()


def abort(parts: Stored) -> None:
    """Have S3 forget the parts of one of `unfinished`. One that has ended meanwhile is no error."""
    _abort(_location() + parts.name, parts.multipart_id)


def _abort(key: str, multipart_id: str) -> None:
    try:
        _bucket().Object(key).MultipartUpload(multipart_id).abort()
    except ClientError as error:
        if not _is_over(error):
            raise


def _is_over(error: ClientError) -> bool:
    return str(error.response["Error"]["Code"]) == "NoSuchUpload"


def _on_disk(storage: FileSystemStorage, folder: str) -> Iterator[Stored]:
    root = Path(storage.base_location)
    waiting = [Path(storage.path(folder)) if folder else root]
    while waiting:
        path = waiting.pop()
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(path) as entries:
            for entry in entries:
                # Links to folders are followed at the top alone, where operators lay one on another disk.
                if entry.is_dir(follow_symlinks=path == root):
                    waiting.append(Path(entry.path))
                elif stored := _described(root, entry):
                    yield stored


def _described(root: Path, entry: os.DirEntry[str]) -> Stored | None:
    """None where it has gone meanwhile, which is as good as not having been there."""
    try:
        facts = entry.stat()
    except FileNotFoundError:
        return None
    name = Path(entry.path).relative_to(root).as_posix()
    return Stored(name, facts.st_size, datetime.fromtimestamp(facts.st_mtime, UTC))


def _remove_folders(path: Path) -> None:
    """Remove folders that are empty now. Raises `OSError` where something has come into them meanwhile."""
    for folder, _, _ in os.walk(path, topdown=False):
        with suppress(FileNotFoundError):
            Path(folder).rmdir()


def _bucket() -> Any:
    bucket = getattr(default_storage, "bucket", None)
    if bucket is None:
        raise ImproperlyConfigured(
            "media must be kept on local disk or in S3: other storages cannot be listed here"
        )
    return bucket


def _location() -> str:
    """What the storage puts before every name: nothing, or a folder with its slash."""
    location = str(getattr(default_storage, "location", "")).strip("/")
    return f"{location}/" if location else ""


def _prefix(folder: str) -> str:
    return _location() + (f"{folder.strip('/')}/" if folder.strip("/") else "")
