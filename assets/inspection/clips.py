"""Inspecting video and audio: measured by ffmpeg to the last packet, served as a copy without metadata."""

import shutil
import tempfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Literal

from PIL import Image

from assets.inspection.pictures import THUMBNAIL_SIDE, Encoded, average_color, thumbnail_of
from assets.inspection.rules import Limits, Refusal, Rejected, check_bytes
from mutoscope.media import (
    Fault,
    MediaError,
    MediaInfo,
    VideoStream,
    frame_as_png,
    probe,
    remux_without_metadata,
)

_TIMEOUT_SECONDS = 300.0
_CODES = {
    Fault.DAMAGED: Refusal.TRUNCATED,
    Fault.UNSUPPORTED: Refusal.UNSUPPORTED_TYPE,
    Fault.OVERDUE: Refusal.TOO_LARGE,
}


@dataclass(frozen=True)
class CleanFile:
    """A file on disk that has no name any more: closing ``file`` is all it takes to be rid of it.

    ``extension`` has its dot.
    """

    file: BinaryIO
    media_type: str
    extension: str


@dataclass(frozen=True)
class Clip:
    """An accepted video or sound.

    ``media_type``, ``sha256`` (hexadecimal) and ``size`` (bytes) are those of the upload. ``duration`` is in
    seconds; ``width`` and ``height`` are pixels as displayed; ``fps`` is the average of frames a second. What
    sound does not have is None. ``clean`` is what may be served, and is the caller's to close.
    """

    kind: Literal["video", "audio"]
    media_type: str
    sha256: str
    size: int
    duration: float
    width: int | None
    height: int | None
    fps: float | None
    clean: CleanFile
    thumbnail: Encoded | None
    color: str | None


@dataclass(frozen=True)
class _Packaging:
    media_type: str
    extension: str
    muxer: str


def inspect_clip(file: BinaryIO, *, head: bytes, sha256: str, size: int, limits: Limits) -> Clip:
    """Inspect a video or a sound that begins with ``head``; the whole of it is decoded once.

    Works in a folder of its own that is gone afterwards, whatever happens. Raises Rejected.
    """
    with tempfile.TemporaryDirectory(prefix="mutoscope-clip-") as folder:
        # The "name" of an uploaded file is what its sender wrote, so it is never opened as a path.
        uploaded = getattr(file, "temporary_file_path", None)
        source = Path(uploaded()) if uploaded else _spool(file, Path(folder) / "upload")
        try:
            return _inspect(source, Path(folder), head=head, sha256=sha256, size=size, limits=limits)
        except MediaError as error:
            raise Rejected(_CODES[error.fault], str(error)) from error


def _inspect(source: Path, folder: Path, *, head: bytes, sha256: str, size: int, limits: Limits) -> Clip:
    info = probe(source, strict=True, timeout=_TIMEOUT_SECONDS)
    packaging = _packaging(info, head)
    if info.video:
        check_bytes(size, limits.max_video_bytes, "Videos")
    else:
        check_bytes(size, limits.max_audio_bytes, "Sounds")
    poster = _poster(source, info.video) if info.video else None
    target = folder / f"clean{packaging.extension}"
    remux_without_metadata(source, target, muxer=packaging.muxer, timeout=_TIMEOUT_SECONDS)
    return Clip(
        kind="video" if info.video else "audio",
        media_type=packaging.media_type,
        sha256=sha256,
        size=size,
        duration=info.duration,
        width=info.video.width if info.video else None,
        height=info.video.height if info.video else None,
        fps=info.video.fps if info.video else None,
        clean=CleanFile(target.open("rb"), packaging.media_type, packaging.extension),
        thumbnail=thumbnail_of(poster) if poster else None,
        color=average_color(poster) if poster else None,
    )


def _spool(file: BinaryIO, path: Path) -> Path:
    file.seek(0)
    with path.open("wb") as target:
        shutil.copyfileobj(file, target, 1024**2)
    return path


def _poster(source: Path, video: VideoStream) -> Image.Image:
    """A frame a little after the start, where clips tend to be black."""
    at = min(1.0, video.frames / video.fps / 10) if video.fps else 0.0
    png = frame_as_png(source, at=at, max_side=THUMBNAIL_SIDE, timeout=_TIMEOUT_SECONDS)
    return Image.open(BytesIO(png), formats=["PNG"])


def _packaging(info: MediaInfo, head: bytes) -> _Packaging:
    """The media type, and how the clean copy is written: in the container it came in."""
    if info.container.startswith("mov,"):
        if info.video is None:
            return _Packaging("audio/mp4", ".m4a", "mp4")
        if head[4:8] == b"ftyp" and head[8:12] != b"qt  ":
            return _Packaging("video/mp4", ".mp4", "mp4")
        return _Packaging("video/quicktime", ".mov", "mov")
    if info.container.startswith("matroska"):
        kind = "video" if info.video else "audio"
        if b"webm" in head[:64]:
            return _Packaging(f"{kind}/webm", ".webm", "webm")
        return _Packaging(f"{kind}/x-matroska", ".mkv" if info.video else ".mka", "matroska")
    sounds = {
        "mp3": _Packaging("audio/mpeg", ".mp3", "mp3"),
        "wav": _Packaging("audio/wav", ".wav", "wav"),
        "flac": _Packaging("audio/flac", ".flac", "flac"),
        "ogg": _Packaging("audio/ogg", ".ogg", "ogg"),
        "aac": _Packaging("audio/aac", ".aac", "adts"),
    }
    if info.video is not None or info.container not in sounds:
        message = f"Video is accepted as MP4, MOV, WebM or MKV, but this is {info.container}."
        raise Rejected(Refusal.UNSUPPORTED_TYPE, message)
    return sounds[info.container]
