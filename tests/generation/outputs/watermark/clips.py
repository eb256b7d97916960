"""Marked and unmarked clips, as small as the bar allows."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import ffmpeg
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from generation.outputs.encoding import MASTER, Source, Target, encode
from generation.outputs.watermark.embedding import Embedder
from mutoscope.media import ffmpeg_executable
from tests.conftest import PHOTOGRAPH

KEY = b"k" * 32
MARK = 0x2026_0000_0007
WIDTH, HEIGHT = 512, 384


def frames(width: int = WIDTH, height: int = HEIGHT, count: int = 8) -> Iterator[NDArray[np.uint8]]:
    """A slow pan over the demo's photograph, two pixels a frame."""
    with Image.open(PHOTOGRAPH) as photograph:
        picture = np.asarray(ImageOps.fit(photograph.convert("RGB"), (width + 2 * count, height)))
    for index in range(count):
        yield np.ascontiguousarray(picture[:, 2 * index : 2 * index + width])


def marked(
    pictures: Iterable[NDArray[np.uint8]], mark: int = MARK, key: bytes = KEY
) -> Iterator[NDArray[np.uint8]]:
    drawn = iter(pictures)
    first = next(drawn)
    embedder = Embedder(mark, first.shape[1], first.shape[0], key=key)
    return embedder.laid_on(chain([first], drawn))


def clip(path: Path, pictures: Iterable[NDArray[np.uint8]], width: int = WIDTH, height: int = HEIGHT) -> Path:
    """Encoded as clips are that are delivered."""
    drawn = [memoryview(picture).cast("B") for picture in pictures]
    encode(drawn, Source(width, height, 8, len(drawn)), [Target(path, MASTER)])
    return path


def again(path: Path, target: Path, crf: int, filters: str = "null") -> Path:
    """Compressed once more, by whoever has it."""
    output = ffmpeg.input(str(path)).output(str(target), vcodec="libx264", crf=crf, vf=filters, threads=2)
    subprocess.run(
        ffmpeg.compile(output, cmd=ffmpeg_executable(), overwrite_output=True), check=True, capture_output=True
    )
    return target
