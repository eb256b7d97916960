"""Laying the mark on frames: a faint pattern, the same in each frame, stronger where a picture hides it."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np
from numpy.typing import NDArray

from generation.outputs.watermark.pattern import TILE, cell_pixels, tile_of

IN_FLAT = 0.9
"""Standard deviation of the pattern where the picture is flat, in levels of 255."""
IN_TEXTURE = 3.0
"""The most it is raised to where the picture is busy."""
PER_ACTIVITY = 0.55
"""Levels of pattern for each level by which a pixel usually differs from those around it."""
STEEPEST = 12
"""A difference that counts as more than this is an edge, and an edge alone hides nothing beside it."""
BLACK, DARK = 6, 40
"""Levels of brightness: none of the pattern below the one, all of it above the other."""
_BLOCK = 8


class Embedder:
    """Lays one mark on the frames of one clip.

    The same frame, mark and key give the same bytes. Not for several threads at once.
    """

    def __init__(self, mark: int, width: int, height: int, *, key: bytes) -> None:
        """`mark` has at most 48 bits; sizes are in pixels."""
        self._size = (width, height)
        self._pattern = _spread(tile_of(mark, key), width, height)
        drawn = hashlib.shake_256(b"dither" + key).digest(width * height)
        noise = np.frombuffer(drawn, np.uint8).reshape(height, width)
        self._dither = ((noise + 0.5) / 256 - 0.5).astype(np.float32)

    def apply(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The frame with the mark, as a new array; both uint8, height × width × 3, RGB.

        Raises ValueError for a frame of another size.
        """
        width, height = self._size
        if frame.shape != (height, width, 3):
            raise ValueError(f"a frame must be {height} × {width} × 3, but is {' × '.join(map(str, frame.shape))}")
        strength = cv2.resize(_strength(frame), self._size, interpolation=cv2.INTER_LINEAR)
        change = cv2.multiply(strength, self._pattern, dst=strength)
        # Rounded at random, but each time alike: else a pattern below half a level would be lost, and one above it
        # would show as blots.
        change = cv2.add(change, self._dither, dtype=cv2.CV_16S)
        return np.asarray(cv2.add(frame, cv2.merge((change, change, change)), dtype=cv2.CV_8U))


def _spread(tile: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """The tile, repeated over a frame and brought to the size its cells have there."""
    cell = cell_pixels(width, height)
    across, down = int(np.ceil(width / cell)) + 2, int(np.ceil(height / cell)) + 2
    cells = np.tile(tile, (down // TILE + 1, across // TILE + 1))[:down, :across]
    if cell == 1.0:
        return np.ascontiguousarray(cells[:height, :width])
    to_cells = np.array([[1 / cell, 0, 0.5 / cell - 0.5], [0, 1 / cell, 0.5 / cell - 0.5]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(cells, to_cells, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT)


def _strength(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How strong the pattern may be, for blocks of 8 × 8 pixels, in levels."""
    brightness = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    detail = cv2.min(cv2.absdiff(brightness, cv2.blur(brightness, (5, 5))), STEEPEST)
    blocks = (-(-frame.shape[1] // _BLOCK), -(-frame.shape[0] // _BLOCK))
    busy = cv2.resize(detail, blocks, interpolation=cv2.INTER_AREA).astype(np.float32)
    # The lower of itself and its surroundings: a busy block beside a flat one must not spill over.
    busy = cv2.min(cv2.blur(busy, (3, 3)), busy)
    light = cv2.resize(brightness, blocks, interpolation=cv2.INTER_AREA).astype(np.float32)
    strength = np.clip(IN_FLAT + PER_ACTIVITY * busy, IN_FLAT, IN_TEXTURE)
    return strength * np.clip((light - BLACK) / (DARK - BLACK), 0, 1)
