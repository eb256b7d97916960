"""Media on local disk over HTTP: files for whoever has a link, parts of uploads from whoever has one for them.

With S3, nothing comes here: people and S3 deal with each other.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from mimetypes import guess_type
from pathlib import Path
from typing import BinaryIO

import anyio.to_thread
from django.conf import settings
from django.core.files.storage import default_storage
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import NotModifiedResponse

from assets.storage import SignedFileSystemStorage
from mutoscope.errors import NotFound, Refusal

BLOCK = 2**20
"""Bytes of a part that are held in memory before they are written: the network brings them in small pieces."""


class WrongSize(Refusal):
    """A part must have as many bytes as its link was made for."""

    code = "wrong_size"


async def file(request: Request) -> Response:
    """A file on local disk, for whoever has a link that has not expired."""
    storage = default_storage
    found = (
        storage.file_of_token(request.path_params["token"])
        if isinstance(storage, SignedFileSystemStorage)
        else None
    )
    if found is None:
        raise NotFound("the link leads nowhere or has expired: ask for the asset again to get a fresh one")
    path, filename = found
    response = FileResponse(
        path,
        media_type=guess_type(path.name)[0],  # the file's own, and not what the address or a name for saving says
        stat_result=await anyio.to_thread.run_sync(path.stat),
        filename=filename or path.name,
        content_disposition_type="attachment" if filename else "inline",
        headers={
            "Cache-Control": settings.LINK_CACHE,
            # Whatever a file turns out to be, a browser must not run it as a page of ours.
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "X-Content-Type-Options": "nosniff",
        },
    )
    if response.headers["etag"] in _tags(request.headers.get("If-None-Match", "")):
        return NotModifiedResponse(response.headers)
    return response


def _tags(header: str) -> set[str]:
    return {tag.strip().removeprefix("W/") for tag in header.split(",")}


async def part(request: Request) -> Response:
    """PUT: one part of an upload, of exactly the bytes that its link says. It is there whole or not at all."""
    storage = default_storage
    found = (
        storage.part_of_token(request.path_params["token"])
        if isinstance(storage, SignedFileSystemStorage)
        else None
    )
    if found is None:
        raise NotFound("the link leads nowhere or has expired, or the upload has ended: ask for a fresh link")
    path, size = found
    announced = request.headers.get("Content-Length", "")
    if announced.isdigit() and int(announced) != size:
        raise _wrong_size(size, announced)  # without reading it
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        digest = await _receive(request, draft, size)
        await anyio.to_thread.run_sync(os.replace, draft, path)
    except FileNotFoundError:
        raise NotFound("the upload has ended while this was sent") from None
    except ClientDisconnect:
        return Response(status_code=400)  # nobody is there to read it
    finally:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
    return Response(headers={"ETag": f'"{digest}"'})


async def _receive(request: Request, draft: Path, size: int) -> str:
    """Write the body to a file. Returns its MD5, which S3 tells, too. Raises `WrongSize`."""
    digest = hashlib.md5(usedforsecurity=False)
    received = 0
    block = bytearray()
    with await anyio.to_thread.run_sync(draft.open, "wb") as target:
        async for piece in request.stream():
            received += len(piece)
            if received > size:
                raise _wrong_size(size, "more")
            block += piece
            if len(block) >= BLOCK:
                await anyio.to_thread.run_sync(_write, target, block, digest)
                block = bytearray()
        await anyio.to_thread.run_sync(_write, target, block, digest)
    if received < size:
        raise _wrong_size(size, f"{received:,}")
    return digest.hexdigest()


def _write(target: BinaryIO, block: bytearray, digest: hashlib._Hash) -> None:
    target.write(block)
    digest.update(block)


def _wrong_size(size: int, found: str) -> WrongSize:
    return WrongSize(f"this part must have {size:,} bytes, but this one has {found}")
