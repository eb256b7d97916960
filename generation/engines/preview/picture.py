"""From the file to pixels: decoding, covering the frame, and the plate that the camera looks at."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from generation.engines.pictures import read_picture
from generation.engines.preview.camera import Rectangle

PLATE_DENSITY = 2.0
"""Plate pixels a frame pixel: at twice the density, plain linear interpolation neither blurs nor shimmers."""


def open_picture(file: Path, width: int, height: int) -> NDArray[np.uint8]:
    """The still as RGB, height × width × 3, reduced to no less than twice a `width` × `height` frame.

    Raises `EngineError` (blame: user) when the file does not decode.
    """
    return np.asarray(read_picture(file, width, height))


def cover(
    picture: NDArray[np.uint8], width: int, height: int, focal: float, centre: tuple[float, float]
) -> Rectangle:
    """Where a picture that covers a `width` × `height` frame lies, in picture coordinates.

    `centre` is the point of interest, as shares of the picture's width and height; the frame is moved
    towards it as far as the picture goes beyond the frame.
    """
    rows, columns = picture.shape[:2]
    scale = max(width / columns, height / rows) / focal
    sides = []
    for length, extent, share in (
        (columns * scale, width / focal, centre[0]),
        (rows * scale, height / focal, centre[1]),
    ):
        middle = min(max(share * length, extent / 2), length - extent / 2)
        sides.append((-middle, length - middle))
    (left, right), (top, bottom) = sides
    return Rectangle(left, top, right, bottom)


def cut_plate(
    picture: NDArray[np.uint8], bounds: Rectangle, wanted: Rectangle, focal: float, zoom: float
) -> tuple[NDArray[np.uint8], Rectangle]:
    """The part of the picture that a path sees, resampled: RGBX, and where it lies in the picture.

    `bounds` is where the whole picture lies, `wanted` what must be on the plate, `zoom` the usual
    enlargement. What the frames could not show without aliasing is smoothed away first.
    """
    rows, columns = picture.shape[:2]
    across, down = columns / (bounds.right - bounds.left), rows / (bounds.bottom - bounds.top)
    left = max(0, math.floor((wanted.left - bounds.left) * across) - 2)
    right = min(columns, math.ceil((wanted.right - bounds.left) * across) + 2)
    top = max(0, math.floor((wanted.top - bounds.top) * down) - 2)
    bottom = min(rows, math.ceil((wanted.bottom - bounds.top) * down) + 2)
    part = picture[top:bottom, left:right]
    if focal * zoom < across:
        shrink = focal * zoom / across
        size = (max(1, round(part.shape[1] * shrink)), max(1, round(part.shape[0] * shrink)))
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    grow = PLATE_DENSITY * focal / across
    size = (max(2, round((right - left) * grow)), max(2, round((bottom - top) * grow)))
    enlarged = cv2.resize(part, size, interpolation=cv2.INTER_CUBIC)
    plate = np.asarray(cv2.cvtColor(enlarged, cv2.COLOR_RGB2RGBA), np.uint8)
    return plate, Rectangle(
        bounds.left + left / across,
        bounds.top + top / down,
        bounds.left + right / across,
        bounds.top + bottom / down,
    )
