"""What a picture of a face measures: how large, how turned, how lit, how sharp."""

from __future__ import annotations

from math import log2

import cv2
import numpy as np
from numpy.typing import NDArray

from generation.safety.portrait import faces, mesh
from generation.safety.portrait.base import FaceFigures
from generation.safety.portrait.mesh import Mesh

LEAST_PRESENCE = 0.5
"""What the mesh's network takes for no face is none: cats and patterns that the detector fell for."""
LOOKED_AT = 256
"""Sharpness is of the face at this height at most, so that large pictures are not called sharper."""
BRIGHT, DARK = 250, 16
"""Of 255: from there on, and up to there, nothing can be made out."""


def measure(pixels: NDArray[np.uint8], scale: float = 1.0) -> list[FaceFigures]:
    """The faces of an RGB picture (H × W × 3), the largest first; `scale` is what boxes are multiplied with."""
    meshes = (mesh.fit(pixels, face) for face in faces.find(pixels))
    found = [_figures(pixels, there, scale) for there in meshes if there.presence >= LEAST_PRESENCE]
    return sorted(found, key=lambda figures: -figures.share)


def _figures(pixels: NDArray[np.uint8], there: Mesh, scale: float) -> FaceFigures:
    height, width = pixels.shape[:2]
    left, top = there.outline.min(axis=0)
    right, bottom = there.outline.max(axis=0)
    pose = there.pose
    brightness = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.uint8)
    face = _inside(brightness, np.rint(there.outline).astype(np.int32))
    values: NDArray[np.uint8] = brightness[face] if face.any() else np.zeros(1, dtype=np.uint8)
    tall, wide = bottom - top, right - left
    return FaceFigures(
        box=_box(left, top, right, bottom, scale),
        head=_box(
            max(0, left - wide * 0.4), max(0, top - tall * 0.5), min(width, right + wide * 0.4),
            min(height, bottom + tall * 0.3), scale,
        ),
        share=float(wide * tall / (width * height)),
        inside=_share_inside(there.outline, width, height),
        yaw=pose.yaw,
        pitch=pose.pitch,
        roll=pose.roll,
        contrast=_contrast(brightness, there),
        light=float(_linear(values).mean()),
        burnt=float((values >= BRIGHT).mean()),
        black=float((values <= DARK).mean()),
        sharpness=_sharpness(brightness, left, top, right, bottom),
    )  # fmt: skip


def _box(left: float, top: float, right: float, bottom: float, scale: float) -> tuple[int, int, int, int]:
    return round(left * scale), round(top * scale), round((right - left) * scale), round((bottom - top) * scale)


def _inside(brightness: NDArray[np.uint8], outline: NDArray[np.int32]) -> NDArray[np.bool_]:
    mask = np.zeros(brightness.shape, dtype=np.uint8)
    cv2.fillPoly(mask, [outline], 1)
    return mask.astype(bool)


def _share_inside(outline: NDArray[np.float64], width: int, height: int) -> float:
    """Of the polygon's area, by the polygon cut at the picture's edges."""
    frame = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    hull = cv2.convexHull(outline.astype(np.float32))
    area, _ = cv2.intersectConvexConvex(hull, frame)
    return float(area / max(1.0, cv2.contourArea(hull)))


def _linear(values: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Luminance, 0 to 1, of sRGB's brightness."""
    share = values / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def _contrast(brightness: NDArray[np.uint8], there: Mesh) -> float:
    halves = [_inside(brightness, there.half(edge)) for edge in (mesh.LEFT_EDGE, mesh.RIGHT_EDGE)]
    if not all(half.any() for half in halves):
        return 1.0
    one, other = (float(_linear(brightness[half]).mean()) + 1e-3 for half in halves)
    return float(2 ** abs(log2(one / other)))


def _sharpness(brightness: NDArray[np.uint8], left: float, top: float, right: float, bottom: float) -> float:
    part = brightness[max(0, int(top)) : max(1, int(bottom)), max(0, int(left)) : max(1, int(right))]
    if part.size < 9:
        return 0.0
    shrunk = min(1.0, LOOKED_AT / part.shape[0])
    small = cv2.resize(part, None, fx=shrunk, fy=shrunk, interpolation=cv2.INTER_AREA).astype(np.float64)
    return float(cv2.Laplacian(small, cv2.CV_64F).var() / max(1.0, float(small.var())))
