"""The brightness of a file's frames, made small enough to be read; every file is taken for hostile."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import cv2
import ffmpeg
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence, UnidentifiedImageError

from mutoscope.media import CONTAINERS, MAX_FRAME_PIXELS, Fault, MediaError, ffmpeg_executable, probe, untrusted

SHORT_SIDE = 480
"""Pixels: larger frames are made smaller. The pattern's finest wave is still four pixels long."""
MIN_SIDE = 32
"""Pixels: in smaller frames nothing can be found."""
PICTURE_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF")
"""By Pillow's names."""
_TIMEOUT = 60.0
_WIDEST_STEP = 12
"""Frames from one that is looked at to the next: in between all must be decoded, and films are long."""


@dataclass(frozen=True, slots=True)
class Look:
    """One frame's brightness, uint8, height × width, and the size it has here, as a share of the file's."""

    frame: NDArray[np.uint8]
    scale: float


def clip_frames(path: Path, *, count: int, key_frames: bool) -> Iterator[Look]:
    """At most `count` frames spread over the clip (its beginning, if it is long), or its first key frames.

    What takes longer than a minute ends early. Raises `MediaError` for a file that
    is no clip, or damaged.
    """
    video = probe(path, timeout=_TIMEOUT).video
    if video is None:
        raise MediaError(Fault.UNSUPPORTED, "The file holds no pictures, only sound.")
    if min(video.width, video.height) < MIN_SIDE:
        return
    width, height = _reading_size(video.width, video.height)
    source = untrusted(path, CONTAINERS, **({"skip_frame": "nokey"} if key_frames else {}))["V:0"]
    if not key_frames and video.frames > count:
        step = min(-(-video.frames // count), _WIDEST_STEP)
        source = source.filter("select", f"not(mod(n,{step}))")
    graph = source.filter("scale", width, height, flags="area").output(
        "pipe:", format="rawvideo", pix_fmt="gray", vframes=count, fps_mode="passthrough"
    )
    for frame in _decoded(graph, width * height):
        yield Look(np.frombuffer(frame, np.uint8).reshape(height, width), width / video.width)


def picture_frames(path: Path, *, count: int) -> Iterator[Look]:
    """The picture, or the first `count` pictures of an animated one.

    Raises `MediaError` for a file that is no picture, damaged or too large.
    """
    try:
        with Image.open(path, formats=PICTURE_FORMATS) as image:
            if image.width * image.height > MAX_FRAME_PIXELS:
                raise MediaError(
                    Fault.UNSUPPORTED,
                    f"The picture must have at most {MAX_FRAME_PIXELS:,} pixels, but has "
                    f"{image.width * image.height:,}.",
                )
            if min(image.size) < MIN_SIDE:
                return
            size = _reading_size(*image.size)
            for _, picture in zip(range(count), ImageSequence.Iterator(image), strict=False):
                brightness = np.asarray(picture.convert("RGB").convert("L"))
                small = np.asarray(cv2.resize(brightness, size, interpolation=cv2.INTER_AREA), np.uint8)
                yield Look(small, size[0] / image.width)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise MediaError(Fault.DAMAGED, f"The file cannot be read as a picture ({str(error)[:200]}).") from error


def _reading_size(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, SHORT_SIDE / min(width, height))
    return round(width * scale), round(height * scale)


def _decoded(graph: Any, size: int) -> Iterator[bytes]:
    """Blocks of `size` bytes from ffmpeg, for a minute at most. Raises `MediaError` when there is none by then."""
    command = ffmpeg.compile(graph.global_args("-nostdin", "-loglevel", "quiet"), cmd=ffmpeg_executable())
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    deadline = threading.Timer(_TIMEOUT, process.kill)
    deadline.start()
    blocks = 0
    try:
        with _output_of(process) as output:
            while len(block := output.read(size)) == size:
                blocks += 1
                yield block
    finally:
        deadline.cancel()
        process.kill()
        process.wait()
    if not blocks:
        raise MediaError(Fault.DAMAGED, f"No frame of the file could be decoded within {_TIMEOUT:g} seconds.")


def _output_of(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stdout is None:
        raise RuntimeError("ffmpeg was started without a pipe")
    return process.stdout
