"""Laying the mark on frames: a faint pattern, the same in each frame, stronger where a picture hides it."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from generation.outputs.watermark.code import encode
from generation.outputs.watermark.pattern import TILE, cell_pixels, tile_of, waves_of
from generation.outputs.watermark.strength import Judge, Strength
from generation.outputs.watermark.trial import AHEAD

Frame: TypeAlias = NDArray[np.uint8]
"""Height × width × 3, RGB."""

_EVERY = 48
"""Frames after which the strength is judged again at the latest."""
_CHANGED = 1.5
"""It is judged again where the picture bears so many times more than when it was judged, or less: scenes change,
and fade in from black."""

IN_FLAT = 0.6
"""Standard deviation of the pattern where the picture is flat, in levels of 255, at a gain of 1."""
FLAT_LIMIT = 0.85
PER_ACTIVITY = 0.22
"""Levels of pattern for each level by which a pixel usually differs from those around it."""
LIMIT = 4.0
"""The most it is raised to anywhere."""
FALL_FINE, FALL_COARSE = -0.7, 1.0
"""Of the two patterns: by which power of its periods a wave is weaker. Fine waves cost less quality where there is
detail; where there is none, they are the first that an encoder drops."""
STEEPEST = 10
"""A difference that counts as more than this is an edge, and an edge alone hides nothing beside it."""
BLACK, DARK = 2, 14
"""Levels of brightness: none of the pattern below the one, all of it above the other."""
_BLOCK = 8


class Embedder:
    """Lays one mark on the frames of one clip.

    The same frames, mark and key give the same bytes. Not for several threads at once.
    """

    def __init__(self, mark: int, width: int, height: int, *, key: bytes) -> None:
        """`mark` has at most 48 bits; sizes are in pixels."""
        self._size = (width, height)
        coded, waves = encode(mark), waves_of(key)
        self._fine = _spread(tile_of(waves, coded, fall=FALL_FINE), width, height)
        self._coarse = _spread(tile_of(waves, coded, fall=FALL_COARSE), width, height)
        drawn = hashlib.shake_256(b"dither" + key).digest(width * height)
        noise = np.frombuffer(drawn, np.uint8).reshape(height, width)
        self._dither = ((noise + 0.5) / 256 - 0.5).astype(np.float32)
        self._judge = Judge(width, height, waves, coded)
        self._strength: Strength | None = None
        self._borne, self._judged_for = 0.0, 0

    def laid_on(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The clip's frames with the mark, as new arrays; `AHEAD` of them are held back to be judged together.

        A frame must stay as it is until it has come back marked.
        Raises ValueError for a frame of another size.
        """
        width, height = self._size
        held: deque[Frame] = deque()
        for frame in frames:
            if frame.shape != (height, width, 3):
                said = " × ".join(map(str, frame.shape))
                raise ValueError(f"a frame must be {height} × {width} × 3, but is {said}")
            held.append(frame)
            if len(held) > AHEAD:
                yield self._marked(held)
                held.popleft()
        while held:
            yield self._marked(held)
            held.popleft()

    def _marked(self, shown: deque[Frame]) -> Frame:
        """The first of these frames, with the mark."""
        brightness = _brightness(shown[0])
        activity, light = _activity(brightness)
        borne = float(((IN_FLAT + PER_ACTIVITY * activity) * light).mean())
        alike = self._borne / _CHANGED <= borne <= self._borne * _CHANGED
        if self._strength is None or not alike or not self._judged_for:
            self._strength = self._judge.least(
                [brightness, *map(_brightness, list(shown)[1:])],
                lambda strength: self._change(activity, light, strength),
                near=self._strength if alike else None,
            )
            self._borne, self._judged_for = borne, _EVERY
        self._judged_for -= 1
        change = self._change(activity, light, self._strength)
        return np.asarray(cv2.add(shown[0], cv2.merge((change, change, change)), dtype=cv2.CV_8U))

    def _change(
        self, activity: NDArray[np.float32], light: NDArray[np.float32], strength: Strength
    ) -> NDArray[np.int16]:
        flat = min(strength.gain * IN_FLAT, FLAT_LIMIT)
        busy = np.minimum(strength.gain * PER_ACTIVITY * activity, LIMIT - flat)
        if strength.coarse:
            change = self._over_frame(busy * light) * self._fine + self._over_frame(flat * light) * self._coarse
        else:
            change = cv2.multiply(self._over_frame((busy + flat) * light), self._fine)
        # Rounded at random, but each time alike: else a pattern below half a level would be lost, and one above it
        # would show as blots.
        return np.asarray(cv2.add(change, self._dither, dtype=cv2.CV_16S))

    def _over_frame(self, blocks: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.resize(blocks, self._size, interpolation=cv2.INTER_LINEAR), np.float32)


def _brightness(frame: Frame) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)


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


def _activity(brightness: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """For blocks of 8 × 8 pixels: how busy they are, in levels, and what share of the pattern they bear."""
    detail = np.minimum(cv2.absdiff(brightness, cv2.blur(brightness, (5, 5))), STEEPEST)
    blocks = (-(-brightness.shape[1] // _BLOCK), -(-brightness.shape[0] // _BLOCK))
    busy = cv2.resize(detail, blocks, interpolation=cv2.INTER_AREA).astype(np.float32)
    # The lower of itself and its surroundings: a busy block beside a flat one must not spill over.
    busy = np.minimum(cv2.blur(busy, (3, 3)), busy)
    light = cv2.resize(brightness, blocks, interpolation=cv2.INTER_AREA).astype(np.float32)
    return busy, np.clip((light - BLACK) / (DARK - BLACK), 0, 1).astype(np.float32)
