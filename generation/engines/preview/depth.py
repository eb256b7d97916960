"""Guesses the relief of a still without a network: what is far, what is ground, what stands in front.

Three cues are cheap and often right. Things that cannot be reached from the picture's border without
crossing an edge tend to be the subject (minimum barrier distance, after Zhang et al., "Minimum Barrier
Salient Object Detection at 80 FPS", ICCV 2015). What is low in the picture tends to be near. What is sharp
tends to be what the picture is about. The guess is laid out in soft layers (backdrop, ground, subject);
where it is wrong, it costs a little parallax and never a tear, because `camera.relief_for` flattens what a
move could fold.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Plane: TypeAlias = NDArray[np.float32]
"""One number a pixel: float32, height × width."""

WORKING_SIZE = 192
"""Long side, in pixels, of the picture that the estimate looks at."""

SUBJECT, HORIZON, FOREGROUND = 1.0, 0.5, 1.1
"""Disparity (1 / depth) of the layers: the subject, the backdrop, the ground at the lower edge."""

_SOFTNESS = 0.045
"""Half width of a layer's soft edge, as a share of the picture's long side."""


def estimate_disparity(picture: NDArray[np.uint8]) -> Plane:
    """Disparity of each pixel of a small copy of the picture: 1.0 at the subject, less behind it.

    `picture` is RGB of any size; the result keeps its aspect with a long side of at most `WORKING_SIZE`.
    """
    scale = WORKING_SIZE / max(picture.shape[:2])
    size = (max(8, round(picture.shape[1] * scale)), max(8, round(picture.shape[0] * scale)))
    small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    subject = subject_mask(small)
    ground = _ground(small.shape[0])[:, None]
    disparity: Plane = ground + subject * np.maximum(SUBJECT - ground, 0.0)
    return _blurred(disparity, 1.0)


def subject_mask(small: NDArray[np.uint8]) -> Plane:
    """How much each pixel belongs to the subject, 0 to 1, with soft edges that lie outside of the subject."""
    height, width = small.shape[:2]
    lab = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2Lab), np.float32)
    barrier = _barrier_distance(_blurred(lab, 1.5))
    score = _stretched(barrier) * _centre_prior(height, width) * (0.75 + 0.25 * _focus(lab[..., 0]))
    grey = lab[..., 0] / np.float32(255)
    score = _guided_filter(grey, _stretched(score), radius=8, epsilon=2e-3)
    mask = _smoothstep((score - 0.12) / 0.3)
    softness = max(2, round(_SOFTNESS * max(height, width)))
    # Closing fills a subject's holes; growing it keeps the stretch of the soft edge on the backdrop.
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, _disc(2 * softness))
    solid = cv2.dilate(_standing(np.asarray(closed, np.float32)), _disc(softness))
    return _blurred(np.asarray(solid, np.float32), softness)


def _disc(radius: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), np.uint8)


def _standing(mask: Plane) -> Plane:
    """The mask carried on downwards, fading: what is under a subject mostly holds it up."""
    stood = mask.copy()
    fade = np.float32(0.5 ** (2.5 / len(mask)))
    for row in range(1, len(stood)):
        np.maximum(stood[row], stood[row - 1] * fade, out=stood[row])
    return stood


def _ground(height: int) -> Plane:
    """Disparity of each row of an empty scene: flat backdrop above, ground that comes nearer downwards."""
    rows = np.linspace(0.0, 1.0, height, dtype=np.float32)
    return HORIZON + (FOREGROUND - HORIZON) * _smoothstep((rows - 0.25) / 0.85)


class _Paths(NamedTuple):
    """The best path to each pixel so far: the extremes on it; all are height × width × channels."""

    values: NDArray[np.float32]
    highest: NDArray[np.float32]
    lowest: NDArray[np.float32]
    distance: NDArray[np.float32]


def _barrier_distance(channels: NDArray[np.float32]) -> Plane:
    """For each pixel the least range of values on a path from the border, summed over the channels.

    The paths are found by sweeping rows down and up, columns right and left, which suffices after three
    rounds.
    """
    distance = np.full_like(channels, np.inf)
    # Not from the lower edge: a portrait's shoulders reach it, and are not backdrop for that.
    distance[0], distance[:, 0], distance[:, -1] = 0.0, 0.0, 0.0
    paths = _Paths(channels, highest=channels.copy(), lowest=channels.copy(), distance=distance)
    for _ in range(3):
        for axis in (0, 1):
            for step in (1, -1):
                _sweep(paths, axis, step)
    return np.asarray(distance.sum(axis=2), np.float32)


def _sweep(paths: _Paths, axis: int, step: int) -> None:
    """Carry the paths from each row (axis 0) or column (axis 1) to the next one, where that shortens them."""
    values, high, low, best = (np.moveaxis(plane, axis, 0)[::step] for plane in paths)
    for at in range(1, len(values)):
        candidate_high = np.maximum(high[at - 1], values[at])
        candidate_low = np.minimum(low[at - 1], values[at])
        candidate = candidate_high - candidate_low
        better = candidate < best[at]
        np.copyto(high[at], candidate_high, where=better)
        np.copyto(low[at], candidate_low, where=better)
        np.copyto(best[at], candidate, where=better)


def _centre_prior(height: int, width: int) -> Plane:
    """A wide bell around the picture's middle: photographers seldom put the subject on the edge."""
    y, x = (
        np.linspace(-1, 1, height, dtype=np.float32)[:, None],
        np.linspace(-1, 1, width, dtype=np.float32)[None],
    )
    return np.exp(-(x * x + y * y) / 1.4).astype(np.float32)


def _focus(grey: Plane) -> Plane:
    """How sharp the neighbourhood of each pixel is, 0 to 1, against the sharpest part of the picture."""
    detail = np.abs(np.asarray(cv2.Laplacian(grey, cv2.CV_32F), np.float32))
    return _stretched(np.sqrt(_blurred(detail, 6.0)))


def _guided_filter(guide: Plane, plane: Plane, radius: int, epsilon: float) -> Plane:
    """Smooth `plane` but keep edges where `guide` (0 to 1) has them (He et al., "Guided Image Filtering")."""

    def mean(values: Plane) -> Plane:
        return np.asarray(cv2.blur(values, (2 * radius + 1, 2 * radius + 1)), np.float32)

    mean_guide, mean_plane = mean(guide), mean(plane)
    slope = (mean(guide * plane) - mean_guide * mean_plane) / (mean(guide * guide) - mean_guide**2 + epsilon)
    return mean(slope) * guide + mean(mean_plane - slope * mean_guide)


def _blurred(plane: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)


def _stretched(plane: Plane) -> Plane:
    """Scaled so that its 2nd and 98th percentiles become 0 and 1; a flat plane becomes 0."""
    low, high = np.percentile(plane, (2, 98))
    if high - low < 1e-3:
        return np.zeros_like(plane)
    return np.asarray(np.clip((plane - low) / (high - low), 0.0, 1.0), np.float32)


def _smoothstep(plane: Plane) -> Plane:
    clipped = np.clip(plane, 0.0, 1.0)
    return np.asarray(clipped * clipped * (3.0 - 2.0 * clipped), np.float32)
