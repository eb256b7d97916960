"""Inspection of uploads: what a file truly is, whether it is accepted, and in which form it is served.

The content decides, not the name: a PNG called ``photo.jpg`` is accepted as the PNG that it is, and what is
stored takes its extension from the content; a web page called ``photo.jpg`` is refused. Nothing is decoded
before size and dimensions are known to be within the limits, and a refusal leaves nothing behind.
"""

import hashlib
from typing import BinaryIO

from assets.inspection.clips import CleanFile, Clip, inspect_clip
from assets.inspection.content import HEAD_BYTES, is_clip, picture_type, refusal_of_unknown
from assets.inspection.pictures import (
    Encoded,
    Picture,
    average_color,
    check_header,
    decode_picture,
    thumbnail_of,
)
from assets.inspection.rules import Limits, Refusal, Rejected, check_bytes

__all__ = [
    "CleanFile",
    "Clip",
    "Encoded",
    "Limits",
    "Picture",
    "Refusal",
    "Rejected",
    "average_color",
    "inspect_upload",
    "thumbnail_of",
]

_ACCEPTED = (
    "JPEG, PNG, WebP, AVIF and HEIC pictures, "
    "MP4, MOV, WebM and MKV video, and MP3, M4A, AAC, WAV, FLAC and Ogg sound"
)


def inspect_upload(file: BinaryIO, filename: str, limits: Limits) -> Picture | Clip:
    """Inspect a picture, a video or a sound, whichever it is; ``file`` must be seekable, and stays open.

    ``filename`` only serves to word a refusal. Raises Rejected, and nothing else, for whatever is wrong with
    the file.
    """
    size, head = _beginning(file)
    media_type = picture_type(head)
    if media_type is not None:
        check_bytes(size, limits.max_picture_bytes, "Pictures")
        check_header(media_type, head, file, limits)
        return decode_picture(file, media_type=media_type, sha256=_sha256(file), size=size, limits=limits)
    if is_clip(head):
        # Which of the two it is, and so which limit holds, is known only after a look at its streams.
        check_bytes(size, max(limits.max_video_bytes, limits.max_audio_bytes), "Videos and sounds")
        return inspect_clip(file, head=head, sha256=_sha256(file), size=size, limits=limits)
    raise refusal_of_unknown(head, filename, _ACCEPTED)


def _beginning(file: BinaryIO) -> tuple[int, bytes]:
    """The size in bytes, and the first bytes."""
    size = file.seek(0, 2)
    if size == 0:
        raise Rejected(Refusal.EMPTY, "The file is empty: it has 0 bytes.")
    file.seek(0)
    return size, file.read(HEAD_BYTES)


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while block := file.read(1024**2):
        digest.update(block)
    return digest.hexdigest()
