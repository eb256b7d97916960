"""How strongly a mark must be laid on: so that an encoder leaves enough of it, and no more.

How strong that is depends on the picture: a page of text drowns what a meadow lets through. So it is tried: the
clip's next frames are compressed hard, with the mark on them, and the mark is read back.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from generation.outputs.watermark.pattern import Waves, cell_pixels
from generation.outputs.watermark.search import clarity
from generation.outputs.watermark.trial import AHEAD, first_key_frame

Brightness: TypeAlias = NDArray[np.uint8]
"""Of a frame: height × width."""

GAINS = tuple(0.55 * 1.08**step for step in range(16))
"""What a mark may be multiplied by, from 0.55 to 1.74."""
MOST = len(GAINS) - 1
CRF = 33
"""The compression that a mark is to outlive."""
CLEAR = 15.0
"""Standard deviations of chance by which it shall stand out of a clip's first frame then. Ten are read surely; of
some clips two thirds are left of what their first frames promised."""
_NEARBY = 2
"""Steps of `GAINS` by which the strength changes at most where the picture has not changed."""
_JUDGED_SIDE = 480
"""Pixels on the shorter side: larger frames are judged in a smaller copy, as they are when they are read."""
_SMALLEST_JUDGED = 160
"""Pixels on the shorter side: smaller frames have no room for a mark that is clear, and bear the most."""


@dataclass(frozen=True, slots=True)
class Strength:
    """`step` is a place in `GAINS`."""

    step: int
    coarse: bool
    """Whether flat places bear coarser waves than others, which outlive more there but cost more quality."""

    @property
    def gain(self) -> float:
        """What the mark is multiplied by."""
        return GAINS[self.step]

    def at(self, step: int) -> Strength:
        """The same with another gain."""
        return Strength(step, self.coarse)


FINE, COARSE = Strength(MOST, coarse=False), Strength(MOST, coarse=True)
"""The most there is, of each kind."""


class Judge:
    """Finds the least strength for the frames of one clip."""

    def __init__(self, width: int, height: int, waves: Waves, coded: NDArray[np.int8]) -> None:
        self._waves, self._coded = waves, coded
        self._shrink = min(1.0, _JUDGED_SIDE / min(width, height))
        # H.264 with halved colours has no odd rows and columns.
        self._even = (slice(height & ~1), slice(width & ~1))
        self._judged_size = (round((width & ~1) * self._shrink), round((height & ~1) * self._shrink))
        self._cell = cell_pixels(width, height) * self._shrink
        self._tiny = min(width, height) < _SMALLEST_JUDGED

    def least(
        self,
        shown: Sequence[Brightness],
        change: Callable[[Strength], NDArray[np.int16]],
        near: Strength | None = None,
    ) -> Strength:
        """The least strength at which the mark is clear: of fine waves, else of coarse ones, else the most.

        `shown` are the next frame and the `AHEAD` after it, of which the last stands for any that the clip does
        not have; `change` is what a strength adds to a frame. `near`, what was found for a picture alike, spares
        most of the trials.
        """
        if self._tiny:
            return FINE
        shown = [*shown, *[shown[-1]] * (AHEAD + 1 - len(shown))]

        @cache
        def heard(strength: Strength) -> float:
            added = change(strength)
            marked = [np.asarray(cv2.add(frame, added, dtype=cv2.CV_8U), np.uint8)[self._even] for frame in shown]
            return self.clarity(first_key_frame(marked, CRF))

        def foreseen(strength: Strength) -> Strength:
            """What should do: half the gain is about half as clear."""
            needed = strength.gain * CLEAR / max(heard(strength), 1e-9)
            return strength.at(min(bisect_left(GAINS, needed), MOST))

        if near is not None and (near.step < MOST or heard(near) >= CLEAR):
            return near.at(min(max(foreseen(near).step, near.step - _NEARBY), near.step + _NEARBY))
        for most in (FINE, COARSE):
            if heard(most) >= CLEAR:
                tried, next_one = [most], foreseen(most)
                while next_one not in tried:
                    tried.append(next_one)
                    next_one = foreseen(next_one)
                return min((one for one in tried if heard(one) >= CLEAR), key=lambda one: one.step)
        return COARSE

    def clarity(self, brightness: Brightness) -> float:
        """How far the mark stands out of one frame, in standard deviations of chance."""
        if self._shrink < 1:
            brightness = np.asarray(
                cv2.resize(brightness, self._judged_size, interpolation=cv2.INTER_AREA), np.uint8
            )
        return clarity(brightness, self._cell, self._waves, self._coded)
