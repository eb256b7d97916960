"""Small pictures, what they look like, and how alike two of them are."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from generation.engines.pictures import framed_picture, read_picture
from generation.outputs.cropping import Crop
from generation.outputs.quality.figures import Look

Picture: TypeAlias = NDArray[np.uint8]
"""Height × width × 3, RGB."""
Luma: TypeAlias = NDArray[np.uint8]
"""Height × width, of BT.601."""

SIDE = 160
"""Pixels of a thumbnail's longer side: enough to see motion by, and cheap."""
BLOCK = 8
"""Pixels of a thumbnail that are looked at together, where places in it are told apart."""

_DARK, _DARK_SHARE = 25, 0.98
_FLAT_DEVIATION = 2.0
_STRIPE_DEVIATION = 1.0
_BLANK_DEVIATION = 0.75
_SURELY = 0.85
"""With so much similarity no other part of the picture is looked for."""
_PARTS = (1.0, 0.97, 0.94, 0.91, 0.88, 0.84, 0.8, 0.75, 0.7, 0.64, 0.58, 0.52)
"""Which shares of a picture a first frame is looked for in: engines frame a picture, and move the camera."""


def thumbnail(frame: Picture) -> Picture:
    """The frame, its longer side at most `SIDE` pixels."""
    height, width = frame.shape[:2]
    if max(height, width) <= SIDE:
        return frame.copy()
    coarse = max(height, width) // (3 * SIDE)
    if (
        coarse > 1
    ):  # the mean of every other row is the mean of all, for what is measured here, in half of the time
        frame = np.ascontiguousarray(frame[coarse // 2 :: coarse])
    return np.asarray(cv2.resize(frame, _fitting(width, height), interpolation=cv2.INTER_AREA), np.uint8)


def luma_of(picture: Picture) -> Luma:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def look_at(small: Picture, luma: Luma) -> Look:
    """What a thumbnail looks like."""
    black = float(np.count_nonzero(luma <= _DARK) >= _DARK_SHARE * luma.size)
    deviations = cv2.meanStdDev(small)[1]
    flat = float(deviations.max() < _FLAT_DEVIATION)
    rows, columns = (float(luma.std(axis=axis).mean()) for axis in (1, 0))
    striped = float(not flat and min(rows, columns) < _STRIPE_DEVIATION)
    return Look(black, flat, striped, _blank(luma))


def _blank(luma: Luma) -> float:
    values = luma[: luma.shape[0] // BLOCK * BLOCK, : luma.shape[1] // BLOCK * BLOCK].astype(np.float32)
    if not values.size:
        return 0.0
    blocks = values.reshape(luma.shape[0] // BLOCK, BLOCK, -1, BLOCK)
    return float((blocks.std(axis=(1, 3)) < _BLANK_DEVIATION).mean())


def cells(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The means of cells of two blocks by two: noise is gone from them, light and motion are not."""
    height, width = values.shape
    size = (max(1, width // (2 * BLOCK)), max(1, height // (2 * BLOCK)))
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.float32)


def framed(file: Path, width: int, height: int, made: tuple[int, int]) -> Picture:
    """The thumbnail of a still as an engine that makes `made` (width, height) frames it, cropped to the clip's
    size.

    Raises `EngineError` (user) when the file does not decode.
    """
    picture = np.asarray(framed_picture(file, *made), np.uint8)
    crop = Crop(*made, width, height)
    return thumbnail(picture[crop.top : crop.top + height, crop.left : crop.left + width])


def whole(file: Path) -> Picture:
    """All of a still, its longer side about twice that of a thumbnail. Raises `EngineError` (user)."""
    picture = read_picture(file, SIDE, SIDE)
    picture.thumbnail((2 * SIDE, 2 * SIDE), Image.Resampling.BOX)
    return np.asarray(picture, np.uint8)


def likeness(shown: Picture, still: Picture, file: Path) -> float:
    """SSIM of a frame and the part of the picture in `file` that it shows, -1 to 1.

    `still` is the picture as it fills the frame. Where the frame is not that, for some engines frame pictures
    otherwise or begin with the camera elsewhere, the part that is most like it is looked for in all of the
    picture.
    """
    alike = similarity(shown, still)
    if alike >= _SURELY:
        return alike
    all_of_it = whole(file)
    return max(alike, *(similarity(shown, _most_alike(shown, all_of_it, share)) for share in _PARTS))


def _most_alike(shown: Picture, all_of_it: Picture, share: float) -> Picture:
    """The part of the picture, of the frame's shape, of this share of the largest such part."""
    height, width = shown.shape[:2]
    rows, columns = all_of_it.shape[:2]
    scale = max(width / columns, height / rows) / share
    size = (max(width, round(columns * scale)), max(height, round(rows * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = np.asarray(cv2.resize(all_of_it, size, interpolation=way), np.uint8)
    found = cv2.matchTemplate(scaled, shown, cv2.TM_SQDIFF)
    left, top = cv2.minMaxLoc(found)[2]
    return scaled[top : top + height, left : left + width]


def similarity(one: Picture, other: Picture) -> float:
    """Mean structural similarity of two pictures of the same size over all three channels, -1 to 1."""
    # Softened by a pixel: a picture that lies half a pixel off is the same picture.
    a, b = (
        np.asarray(cv2.GaussianBlur(side.astype(np.float32), (0, 0), 1.0), np.float32) for side in (one, other)
    )

    def blurred(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.GaussianBlur(values, (11, 11), 1.5), np.float32)

    mean_a, mean_b = blurred(a), blurred(b)
    aa, bb, ab = blurred(a * a) - mean_a**2, blurred(b * b) - mean_b**2, blurred(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ssim = (2 * mean_a * mean_b + c1) * (2 * ab + c2) / ((mean_a**2 + mean_b**2 + c1) * (aa + bb + c2))
    return float(ssim.mean())


def _fitting(width: int, height: int) -> tuple[int, int]:
    scale = SIDE / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))
