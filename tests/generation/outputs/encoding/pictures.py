"""Frames to encode, and what can be seen of them afterwards."""

from __future__ import annotations

import io
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from generation.outputs.encoding import Form, Source, Target, encode
from mutoscope.media import ffmpeg_executable

Frame = NDArray[np.uint8]
SOURCE = Source(160, 96, 24, 24)
RED, GREEN = (200, 30, 40), (20, 160, 60)


def flat(source: Source = SOURCE) -> Iterator[Frame]:
    """The left half red; the right half green and brighter from frame to frame."""
    for index in range(source.frames):
        frame = np.empty((source.height, source.width, 3), np.uint8)
        frame[:, : source.width // 2] = RED
        frame[:, source.width // 2 :] = (GREEN[0], GREEN[1] + index, GREEN[2])
        yield frame


def moving(source: Source = SOURCE) -> Iterator[Frame]:
    """A light that drifts to the right over a still ground."""
    rows, columns = np.mgrid[0 : source.height, 0 : source.width].astype(float)
    ground = 128 + 40 * np.sin(columns / 9) * np.cos(rows / 7)
    for index in range(source.frames):
        light = np.exp(-((columns - 40 - 1.5 * index) ** 2 + (rows - source.height / 2) ** 2) / 200)
        frame = np.stack([ground * (1 - light) + 250 * light, ground, 255 - ground], -1)
        yield np.clip(frame, 0, 255).astype(np.uint8)


def made(target: Path, form: Form, source: Source = SOURCE) -> Path:
    """The moving frames, encoded."""
    encode(moving(source), source, [Target(target, form)])
    return target


def unpacked(archive: Path) -> list[Frame]:
    """The frames of a PNG sequence: exactly what was encoded."""
    with zipfile.ZipFile(archive) as files:
        return [np.asarray(Image.open(io.BytesIO(files.read(name)))) for name in files.namelist()]


def shown(clip: Path, width: int, height: int) -> list[Frame]:
    """The frames of a clip as a player shows them."""
    command = [
        ffmpeg_executable(),
        "-loglevel",
        "error",
        "-i",
        str(clip),
        "-map",
        "0:v",
        "-fps_mode",
        "passthrough",
    ]
    played = subprocess.run(
        [*command, "-pix_fmt", "rgb24", "-f", "rawvideo", "-"], capture_output=True, check=True
    )
    return list(np.frombuffer(played.stdout, np.uint8).reshape(-1, height, width, 3))


def steps(frames: list[Frame]) -> list[float]:
    """By how much each frame differs from the next, and the last one from the first: mean levels of 255."""
    after = frames[1:] + frames[:1]
    return [float(np.abs(a.astype(float) - b.astype(float)).mean()) for a, b in zip(frames, after, strict=True)]


def told(clip: Path) -> str:
    """What ffmpeg says of a file."""
    command = [ffmpeg_executable(), "-hide_banner", "-i", str(clip)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr
