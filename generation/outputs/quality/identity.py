"""Whether the subject of the first frame is still there: its features, and its colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from generation.engines.preview.depth import subject_mask
from generation.outputs.quality.thumbnails import Picture

_SIDE = 320
"""Pixels of the longer side of what features are looked for in."""
_MIDDLE = 0.7
"""Share of width and height in which the subject is taken to be where nothing stands out."""
_SMALLEST = 0.05
"""Share of the frame that a subject which stands out has at least."""
_COARSE = 0.3
"""The subject is told from its ground on so much smaller a picture: it takes a tenth of the time."""
_FEATURES = 400
_FEWEST = 12
"""With fewer features the share of those found again says nothing."""
_DISTINCT = 0.8
"""A match counts when it is so much nearer than the second nearest (Lowe, 2004)."""
_ASTRAY = 3.0
"""Pixels that a feature may lie off where the body's motion puts it."""


class SubjectMeter:
    """Remembers the subject of the first frame, and looks for it in later ones."""

    def __init__(self, frame: Picture) -> None:
        self._orb: Any = cv2.ORB.create(nfeatures=_FEATURES, fastThreshold=8)
        small = _small(frame)
        self._subject = _subject_of(small)
        self._colors = _colors(small, self._subject)
        points, features = self._orb.detectAndCompute(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), self._subject)
        self._places, self._features = _places(points), features

    @property
    def is_known(self) -> bool:
        """Whether it has enough features to be found again."""
        return len(self._places) >= _FEWEST

    def share_in(self, frame: Picture) -> float:
        """How much of it is in the frame, 0 to 1."""
        small = _small(frame)
        share, moved = self._found_in(small)
        subject = self._subject
        if moved is not None:
            subject = np.asarray(cv2.warpPerspective(subject, moved, subject.shape[::-1]), np.uint8)
        colors = float(np.minimum(self._colors, _colors(small, subject)).sum())
        return (share + colors) / 2

    def _found_in(self, small: Picture) -> tuple[float, NDArray[np.float64] | None]:
        """The share of its features that are found again as one body, and how that body has moved, if at all."""
        points, features = self._orb.detectAndCompute(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), None)
        if len(points) < 2:
            return 0.0, None
        pairs = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(self._features, features, k=2)
        good = [best for best, second in pairs if best.distance < _DISTINCT * second.distance]
        if len(good) < _FEWEST:
            return 0.0, None
        here = self._places[[match.queryIdx for match in good]]
        there = _places(points)[[match.trainIdx for match in good]]
        # None where they fit no body, which the library's types do not tell.
        found: tuple[Any, Any] = cv2.findHomography(here, there, cv2.RANSAC, _ASTRAY)
        moved, fits = found
        share = float(fits.sum()) / len(self._places) if fits is not None else 0.0
        return share, moved


def _small(frame: Picture) -> Picture:
    height, width = frame.shape[:2]
    scale = _SIDE / max(height, width)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(frame, size, interpolation=way), np.uint8)


def _subject_of(picture: Picture) -> NDArray[np.uint8]:
    """A mask of what stands out from the border; of the middle where that is next to nothing."""
    height, width = picture.shape[:2]
    mask = subject_mask(np.asarray(cv2.resize(picture, None, fx=_COARSE, fy=_COARSE), np.uint8))
    stands_out = cv2.resize(mask, (width, height)) > 0.5
    if stands_out.mean() < _SMALLEST:
        down, across = (round(side * (1 - _MIDDLE) / 2) for side in (height, width))
        stands_out[:] = False
        stands_out[down : height - down, across : width - across] = True
    return np.asarray(stands_out, np.uint8) * np.uint8(255)


def _colors(picture: Picture, subject: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The histogram of the subject's hue, saturation and value; its sum is 1."""
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
    counts = cv2.calcHist([hsv], [0, 1, 2], subject, [12, 4, 4], [0, 180, 0, 256, 0, 256])
    return np.asarray(counts / max(1.0, float(counts.sum())), np.float32)


def _places(points: Sequence[Any]) -> NDArray[np.float32]:
    return np.array([point.pt for point in points], np.float32).reshape(-1, 2)
