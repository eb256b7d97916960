"""Where faces are: BlazeFace (Bazarevsky et al. 2019, https://arxiv.org/abs/1907.05047) at two ranges.

The one for selfies finds faces that fill the picture, the other small ones and groups; what both find is one face.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from generation.safety.portrait import networks

LEAST_SCORE = 0.5
"""As in MediaPipe."""
SAME_FACE = 0.4
"""Boxes that share this much of the smaller one are of one face."""


@dataclass(frozen=True, slots=True)
class Detector:
    """One BlazeFace: the side of its input in pixels, its outputs, and its anchors (grid side, anchors a cell)."""

    name: str
    side: int
    outputs: tuple[str, str]
    grids: tuple[tuple[int, int], ...]


DETECTORS = (
    Detector("face_detection_short_range", 128, ("regressors", "classificators"), ((16, 2), (8, 6))),
    Detector(
        "face_detection_full_range", 192, ("reshaped_regressor_face_4", "reshaped_classifier_face_4"), ((48, 1),)
    ),
)


@dataclass(frozen=True, slots=True)
class Face:
    """A face's box and the middles of its eyes (the person's right one first), in pixels of the picture."""

    left: float
    top: float
    width: float
    height: float
    eyes: tuple[tuple[float, float], tuple[float, float]]
    score: float

    def is_same(self, other: Face) -> bool:
        """Whether both boxes are of one face."""
        right, bottom = self.left + self.width, self.top + self.height
        across = min(right, other.left + other.width) - max(self.left, other.left)
        down = min(bottom, other.top + other.height) - max(self.top, other.top)
        smaller = min(self.width * self.height, other.width * other.height)
        return across > 0 and down > 0 and across * down > SAME_FACE * smaller


def find(pixels: NDArray[np.uint8]) -> list[Face]:
    """The faces that may be in an RGB picture (H × W × 3), the most certain first."""
    found = sorted((face for one in DETECTORS for face in _seen(one, pixels)), key=lambda face: -face.score)
    kept: list[Face] = []
    for face in found:
        if not any(face.is_same(other) for other in kept):
            kept.append(face)
    return kept


def _seen(detector: Detector, pixels: NDArray[np.uint8]) -> list[Face]:
    height, width = pixels.shape[:2]
    longer, side = max(height, width), detector.side
    scale = side / longer
    small = cv2.resize(
        pixels,
        (max(1, round(width * scale)), max(1, round(height * scale))),
        interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR,
    )
    left, top = (side - small.shape[1]) // 2, (side - small.shape[0]) // 2
    square = np.full((side, side, 3), -1, dtype=np.float32)
    square[top : top + small.shape[0], left : left + small.shape[1]] = small / np.float32(127.5) - 1
    regressed, logits = networks.run(detector.name, square, detector.outputs)
    scores = 1 / (1 + np.exp(-np.clip(logits, -80, 80)))
    rows = np.flatnonzero(scores >= LEAST_SCORE)
    numbers = regressed.reshape(-1, 16)[rows]
    anchors = _anchors(detector)[rows] * side
    offset = np.array([left, top])
    middles = (numbers[:, :2] + anchors - offset) / scale
    sizes = numbers[:, 2:4] / scale
    eyes = (numbers[:, 4:8].reshape(-1, 2, 2) + anchors[:, None] - offset) / scale
    return [
        _face(middle, size, both, float(score))
        for middle, size, both, score in zip(middles, sizes, eyes, scores[rows], strict=True)
    ]


def _face(middle: Any, size: Any, eyes: Any, score: float) -> Face:
    width, height = float(size[0]), float(size[1])
    [right, left] = [(float(x), float(y)) for x, y in eyes]
    return Face(float(middle[0]) - width / 2, float(middle[1]) - height / 2, width, height, (right, left), score)


@functools.cache
def _anchors(detector: Detector) -> NDArray[np.float64]:
    """The middles of the cells, 0 to 1, in the order of the network's rows."""
    parts = []
    for cells, repeats in detector.grids:
        line = (np.arange(cells) + 0.5) / cells
        grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
        parts.append(np.repeat(grid, repeats, axis=0))
    return np.concatenate(parts)
