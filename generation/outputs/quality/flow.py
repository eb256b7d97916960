"""How a clip moves: optical flow between thumbnails a frame on either side of the one looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from generation.outputs.quality.thumbnails import Luma, cells

_SMALLEST = 32
"""Pixels of the shorter side below which the flow's pyramid has no levels: such thumbnails are enlarged."""
_FASTEST = 0.05
"""Share of the picture whose speed is the dynamic degree: a small subject on a still backdrop counts."""


@dataclass(frozen=True, slots=True)
class Motion:
    """Between the neighbours of one frame."""

    speed: float
    """Of the fastest 5 %, in shares of the longer side a step."""
    coherence: float
    smoothness: float
    flicker: float
    """As in `Measured`."""


class MotionMeter:
    """Dense optical flow forth and back (DIS, Kroeger et al., 2016)."""

    def __init__(self) -> None:
        self._dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def between(self, before: Luma, at: Luma, after: Luma) -> Motion:
        """What moved from `before` to `after`, and whether `at` lies half of the way."""
        before, at, after = (_large_enough(luma) for luma in (before, at, after))
        forth = self._dis.calc(before, after, None)
        back = self._dis.calc(after, before, None)
        height, width = at.shape
        columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))

        def seen_by(values: Any, flow: NDArray[np.float32], share: float) -> NDArray[np.float32]:
            moved = (columns + share * flow[..., 0], rows + share * flow[..., 1])
            found = cv2.remap(values, *moved, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            return np.asarray(found, np.float32)

        returning = forth + seen_by(back, forth, 1.0)
        lengths = (forth**2).sum(axis=2)
        agree = (returning**2).sum(axis=2) < 0.01 * (lengths + (back**2).sum(axis=2)) + 0.5
        half_way = 0.5 * (
            seen_by(before.astype(np.float32), forth, -0.5) + seen_by(after.astype(np.float32), back, -0.5)
        )
        left_over = at.astype(np.float32) - half_way
        return Motion(
            speed=_fastest(np.sqrt(lengths)) / 2 / max(width, height),
            coherence=float(agree.mean()),
            smoothness=1.0 - float(np.abs(left_over).mean()) / 255,
            flicker=float(np.abs(cells(left_over)).mean()) / 2,
        )


def _fastest(speeds: NDArray[np.float32]) -> float:
    count = max(1, round(_FASTEST * speeds.size))
    return float(np.partition(speeds.ravel(), -count)[-count:].mean())


def _large_enough(luma: Luma) -> Luma:
    shorter = min(luma.shape)
    if shorter >= _SMALLEST:
        return luma
    scale = _SMALLEST / shorter
    size = (round(luma.shape[1] * scale), round(luma.shape[0] * scale))
    return np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_LINEAR), np.uint8)
