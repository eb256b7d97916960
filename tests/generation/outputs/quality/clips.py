"""Clips made for the tests: one that moves as it should, and what can go wrong with it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from generation.outputs.quality import Measured
from generation.outputs.quality.meter import Meter
from mutoscope.media import ffmpeg_executable
from tests.generation.engines.pictures import textured_subject

Frames = NDArray[np.uint8]
"""Frames × height × width × 3."""

WIDTH, HEIGHT, FPS = 160, 96, 12


def pan(frames: int = 18, step: int = 1) -> Frames:
    """A camera that goes to the right over a textured subject, `step` pixels a frame."""
    picture = still(frames, step)
    return np.stack([picture[:, step * at : step * at + WIDTH] for at in range(frames)])


def still(frames: int = 18, step: int = 1) -> Frames:
    """What `pan` goes over."""
    return cv2.GaussianBlur(textured_subject(WIDTH + frames * step, HEIGHT), (0, 0), 1.0)  # type: ignore[return-value]


def measured(frames: Iterable[NDArray[np.uint8]], first: Path | None = None, last: Path | None = None) -> Measured:
    meter = Meter(WIDTH, HEIGHT, FPS)
    for frame in frames:
        meter.see(frame)
    return meter.result(first=first, last=last)


def encoded(frames: Frames, target: Path, *options: str) -> Path:
    """As H.264, hardly compressed."""
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(FPS), "-i", "-"]
    command = [ffmpeg_executable(), "-loglevel", "error", "-y", *source, *(options or ("-crf", "12")), str(target)]
    subprocess.run(command, input=frames.tobytes(), check=True, timeout=60)
    return target
