"""What an encoder leaves of a clip's first frame: tried, since no rule of thumb foretells it."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Any

import ffmpeg
import numpy as np
from numpy.typing import NDArray

from mutoscope.media import ffmpeg_executable

PRESET = "veryfast"
AHEAD = 10
"""Frames by which x264 looks ahead with this preset: it spends more on a picture that stays than on others."""

_TIMEOUT = 60
"""Seconds; it takes less than one."""


def first_key_frame(frames: Sequence[NDArray[np.uint8]], crf: int) -> NDArray[np.uint8]:
    """The first of some frames (uint8, height × width, both even) as it looks after H.264 at that CRF.

    More than `AHEAD` frames after it do not change it. The same frames give the same picture. Raises RuntimeError
    where ffmpeg fails, or stands still.
    """
    height, width = frames[0].shape
    shown = ffmpeg.input("pipe:", format="rawvideo", pix_fmt="gray", s=f"{width}x{height}", r=24)
    coded = ffmpeg.output(
        shown, "pipe:", format="h264", vcodec="libx264", preset=PRESET, crf=crf, pix_fmt="yuv420p", threads=1
    )
    seen = ffmpeg.output(
        ffmpeg.input("pipe:", format="h264", threads=1), "pipe:", format="rawvideo", pix_fmt="gray", vframes=1
    )
    raw = b"".join(np.ascontiguousarray(frame).tobytes() for frame in frames)
    return np.frombuffer(_run(seen, _run(coded, raw)), np.uint8).reshape(height, width)


def _run(graph: Any, given: bytes) -> bytes:
    command = ffmpeg.compile(graph.global_args("-hide_banner", "-loglevel", "error"), cmd=ffmpeg_executable())
    try:
        ended = subprocess.run(command, check=False, input=given, capture_output=True, timeout=_TIMEOUT)
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"ffmpeg did not try within {_TIMEOUT} seconds how a frame is compressed") from error
    if ended.returncode or not ended.stdout:
        said = ended.stderr.decode(errors="replace").strip().splitlines() or ["it gave no reason"]
        raise RuntimeError(f"ffmpeg could not try how a frame is compressed: {said[-1]}")
    return ended.stdout
