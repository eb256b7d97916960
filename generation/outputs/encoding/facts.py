"""Whether a file is what it should be: decoded to its end, and held against what its form promises."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from generation.engines.base import EngineError
from generation.outputs.encoding.forms import Form, Shape, Source, carries_sound, profile_of, shape_of
from generation.outputs.encoding.graph import pix_fmt_of
from mutoscope.media import CONTAINERS, MediaError, is_faststart, probe

WITH_INDEX = frozenset({"mp4", "mov"})


@dataclass(frozen=True, slots=True)
class Facts:
    """What a clip is found to be.

    `chroma` is its pixel format without the depth, which some decoders give more of than was encoded; it is empty
    where the format leaves no choice. `sound` is its codec.
    """

    codec: str
    chroma: str
    width: int
    height: int
    fps: int
    frames: int
    sound: str | None
    index_first: bool
    """It can be played while it loads, where the format knows such a thing."""


def promised(source: Source, form: Form, *, with_sound: bool) -> Facts:
    """What a clip in that form must be found to be; `with_sound` where there is any to be laid under it."""
    profile, shape = profile_of(form), shape_of(source, form)
    return Facts(
        codec=profile.codec,
        chroma=_chroma(pix_fmt_of(form)) if profile.is_video else "",
        width=shape.width,
        height=shape.height,
        fps=shape.fps,
        frames=shape.frames,
        sound=profile.sound.codec if profile.sound and with_sound and carries_sound(form) else None,
        index_first=profile.muxer in WITH_INDEX,
    )


def check(path: Path, source: Source, form: Form, *, with_sound: bool) -> None:
    """Raise `EngineError` (ours) unless the file is the source in that form, whole."""
    wanted = promised(source, form, with_sound=with_sound)
    try:
        found = found_in(path, form, shape_of(source, form))
    except (MediaError, OSError, zipfile.BadZipFile) as error:
        raise EngineError("clip_broken", f"the clip does not decode: {error}", "ours") from error
    if found != wanted:
        raise EngineError("clip_broken", f"the clip must be {wanted}, but is {found}", "ours")


def found_in(path: Path, form: Form, shape: Shape) -> Facts:
    """What the file holds. Raises MediaError, OSError or BadZipFile where it cannot be read to its end."""
    match profile_of(form).slug:
        case "webp":
            return _in_webp(path, shape)
        case "png":
            return _in_archive(path, shape)
        case "gif":
            return replace(_in_media(path, form, containers=("gif",)), chroma="")
        case _:
            return _in_media(path, form)


def _in_media(path: Path, form: Form, containers: tuple[str, ...] = CONTAINERS) -> Facts:
    media = probe(path, strict=True, containers=containers)
    if (video := media.video) is None:
        raise OSError("it has no pictures")
    return Facts(
        codec=video.codec,
        chroma=_chroma(video.pix_fmt),
        width=video.width,
        height=video.height,
        fps=round(video.fps),  # Matroska counts in milliseconds, GIF in hundredths
        frames=video.frames,
        sound=media.audio.codec if media.audio else None,
        index_first=profile_of(form).muxer in WITH_INDEX and is_faststart(path),
    )


def _chroma(pix_fmt: str) -> str:
    return re.sub(r"\d+le$", "", pix_fmt)


def _in_webp(path: Path, shape: Shape) -> Facts:
    """Pictures that are alike are one that lasts longer, so they are counted by time; one alone has no time."""
    milliseconds = 0
    with Image.open(path, formats=["WEBP"]) as image:
        width, height = image.size
        count = getattr(image, "n_frames", 1)
        for index in range(count):
            image.seek(index)
            image.load()
            milliseconds += image.info.get("duration", 0)
    frames = round(milliseconds * shape.fps / 1000) if count > 1 else shape.frames
    return Facts("webp", "", width, height, shape.fps, frames, None, index_first=False)


def _in_archive(path: Path, shape: Shape) -> Facts:
    """The pictures have no rate of their own. Each must be whole and of the first one's size."""
    with zipfile.ZipFile(path) as archive:
        if broken := archive.testzip():
            raise OSError(f"{broken} is damaged")
        names = archive.namelist()
        sizes = set()
        for name in names:
            with archive.open(name) as file, Image.open(file, formats=["PNG"]) as image:
                sizes.add(image.size)
    if len(sizes) != 1:
        raise OSError(f"its pictures must be of one size, but are of {len(sizes)}")
    width, height = sizes.pop()
    return Facts("png", "", width, height, shape.fps, len(names), None, index_first=False)
