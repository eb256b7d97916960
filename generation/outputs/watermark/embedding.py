"""Laying the mark on frames: a faint pattern, the same in each frame, stronger where a picture hides it.

How strong it must be depends on the picture: a page of text drowns what a meadow lets through. So the embedder
reads its own mark back, from a frame that was compressed hard, and takes the least strength that is still clear.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left

import cv2
import numpy as np
from numpy.typing import NDArray

from generation.outputs.watermark.code import encode
from generation.outputs.watermark.pattern import TILE, cell_pixels, tile_of, waves_of
from generation.outputs.watermark.search import clarity

GAINS = (0.55, 0.65, 0.75, 0.85, 1.0, 1.15, 1.3, 1.5, 1.75)
CLEAR = 14.0
"""Standard deviations of chance by which the mark shall stand out, as far as can be foreseen, at CRF 33."""
_QUALITIES = (80, 40)
"""Of JPEG: a frame is compressed lightly and hard, for what is lost in between goes on being lost beyond."""
_BEYOND = 1.6
"""How much more is lost by CRF 33 and by motion, as a multiple of that."""
_EVERY = 24
"""Frames after which the strength is judged again at the latest."""
_CHANGED = 1.25
"""It is judged again where the picture bears so many times more than when it was judged, or less: scenes change,
and fade in from black."""
_JUDGED_SIDE = 480
"""Pixels on the shorter side: larger frames are judged in a smaller copy, as they are when they are read."""

IN_FLAT = 0.6
"""Standard deviation of the pattern where the picture is flat, in levels of 255, at a gain of 1."""
FLAT_LIMIT = 0.85
PER_ACTIVITY = 0.22
"""Levels of pattern for each level by which a pixel usually differs from those around it."""
LIMIT = 4.0
"""The most it is raised to anywhere."""
STEEPEST = 10
"""A difference that counts as more than this is an edge, and an edge alone hides nothing beside it."""
BLACK, DARK = 2, 14
"""Levels of brightness: none of the pattern below the one, all of it above the other."""
_BLOCK = 8


class Embedder:
    """Lays one mark on the frames of one clip, which must come in their order.

    The same frames, mark and key give the same bytes. Not for several threads at once.
    """

    def __init__(self, mark: int, width: int, height: int, *, key: bytes) -> None:
        """`mark` has at most 48 bits; sizes are in pixels."""
        self._size = (width, height)
        self._coded, self._waves = encode(mark), waves_of(key)
        self._pattern = _spread(tile_of(self._waves, self._coded), width, height)
        drawn = hashlib.shake_256(b"dither" + key).digest(width * height)
        noise = np.frombuffer(drawn, np.uint8).reshape(height, width)
        self._dither = ((noise + 0.5) / 256 - 0.5).astype(np.float32)
        self._gain, self._borne, self._judged_for = 1.0, 0.0, 0
        self._shrink = min(1.0, _JUDGED_SIDE / min(width, height))
        self._read_cell = cell_pixels(width, height) * self._shrink

    def apply(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The clip's next frame with the mark, as a new array; both uint8, height × width × 3, RGB.

        Raises ValueError for a frame of another size.
        """
        width, height = self._size
        if frame.shape != (height, width, 3):
            raise ValueError(f"a frame must be {height} × {width} × 3, but is {' × '.join(map(str, frame.shape))}")
        brightness = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)
        activity, light = _activity(brightness)
        borne = float(_strength(activity, light, 1.0).mean())
        if not (self._judged_for and self._borne / _CHANGED <= borne <= self._borne * _CHANGED):
            self._gain = self._least_gain(brightness, activity, light)
            self._borne, self._judged_for = borne, _EVERY
        self._judged_for -= 1
        change = self._change(activity, light, self._gain)
        return np.asarray(cv2.add(frame, cv2.merge((change, change, change)), dtype=cv2.CV_8U))

    def _change(self, activity: NDArray[np.float32], light: NDArray[np.float32], gain: float) -> NDArray[np.int16]:
        strength = _strength(activity, light, gain)
        change = cv2.multiply(cv2.resize(strength, self._size, interpolation=cv2.INTER_LINEAR), self._pattern)
        # Rounded at random, but each time alike: else a pattern below half a level would be lost, and one above it
        # would show as blots.
        return np.asarray(cv2.add(change, self._dither, dtype=cv2.CV_16S))

    def _least_gain(
        self, brightness: NDArray[np.uint8], activity: NDArray[np.float32], light: NDArray[np.float32]
    ) -> float:
        def is_clear(gain: float) -> bool:
            marked = cv2.add(brightness, self._change(activity, light, gain), dtype=cv2.CV_8U)
            lightly, hard = (self._clarity(np.asarray(marked, np.uint8), quality) for quality in _QUALITIES)
            return hard - _BEYOND * max(0.0, lightly - hard) >= CLEAR

        return GAINS[bisect_left(GAINS[:-1], True, key=is_clear)]

    def _clarity(self, brightness: NDArray[np.uint8], quality: int) -> float:
        _, packed = cv2.imencode(".jpg", brightness, [cv2.IMWRITE_JPEG_QUALITY, quality])
        read = np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8)
        if self._shrink < 1:
            width, height = (round(side * self._shrink) for side in self._size)
            read = np.asarray(cv2.resize(read, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        return clarity(read, self._read_cell, self._waves, self._coded)


def _spread(tile: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """The tile, repeated over a frame and brought to the size its cells have there."""
    cell = cell_pixels(width, height)
    across, down = int(np.ceil(width / cell)) + 2, int(np.ceil(height / cell)) + 2
    cells = np.tile(tile, (down // TILE + 1, across // TILE + 1))[:down, :across]
    if cell == 1.0:
        return np.ascontiguousarray(cells[:height, :width])
    to_cells = np.array([[1 / cell, 0, 0.5 / cell - 0.5], [0, 1 / cell, 0.5 / cell - 0.5]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    spread = cv2.warpAffine(cells, to_cells, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(spread, np.float32)


def _strength(activity: NDArray[np.float32], light: NDArray[np.float32], gain: float) -> NDArray[np.float32]:
    """The standard deviation of the pattern in each block, in levels."""
    flat = min(gain * IN_FLAT, FLAT_LIMIT)
    return np.asarray(np.minimum(flat + gain * PER_ACTIVITY * activity, LIMIT) * light, np.float32)


def _activity(brightness: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """For blocks of 8 × 8 pixels: how busy they are, in levels, and what share of the pattern they bear."""
    detail = np.minimum(cv2.absdiff(brightness, cv2.blur(brightness, (5, 5))), STEEPEST)
    blocks = (-(-brightness.shape[1] // _BLOCK), -(-brightness.shape[0] // _BLOCK))
    busy = cv2.resize(detail, blocks, interpolation=cv2.INTER_AREA).astype(np.float32)
    # The lower of itself and its surroundings: a busy block beside a flat one must not spill over.
    busy = np.minimum(cv2.blur(busy, (3, 3)), busy)
    light = cv2.resize(brightness, blocks, interpolation=cv2.INTER_AREA).astype(np.float32)
    return busy, np.clip((light - BLACK) / (DARK - BLACK), 0, 1).astype(np.float32)
