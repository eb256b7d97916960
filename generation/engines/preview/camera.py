"""A pinhole camera over a picture with relief: where in the picture each pixel of a frame looks.

Picture coordinates have the camera's first axis as origin and the subject's depth as unit, so that a point
at (x, y) with disparity d stands at (x, y, 1) / d. From a camera at C, a ray that would meet the subject's
plane of the resting camera at s meets the relief at p = s (1 - d(p) Cz) + d(p) Cxy, which is solved by
repeated substitution.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from generation.engines.preview.depth import Plane
from generation.engines.preview.path import Path

Coordinates: TypeAlias = NDArray[np.float32]
Points: TypeAlias = tuple[Coordinates, Coordinates]
"""x and y, of one shape."""

MAX_PRE_ZOOM = 1.22
"""How much of the picture a move may cost at the start; what would need more is made smaller instead."""

_STEEPEST = 0.45
"""Bound on relief slope × camera travel. Below 1 the relief cannot fold, and substitution converges; how far
below is how much a wrong guess may bend what is straight.
"""

_ROUNDS = 7
_EDGE_NODES = 24


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Part of the picture's plane, in picture coordinates."""

    left: float
    top: float
    right: float
    bottom: float

    def inset(self, margin: float) -> Rectangle:
        """The rectangle without a rim of `margin`."""
        return Rectangle(self.left + margin, self.top + margin, self.right - margin, self.bottom - margin)

    def pixels(self, x: Coordinates, y: Coordinates, shape: tuple[int, ...]) -> Points:
        """Points as columns and rows of a raster of shape height × width that fills the rectangle."""
        across, down = shape[1] / (self.right - self.left), shape[0] / (self.bottom - self.top)
        columns = (x - np.float32(self.left)) * np.float32(across) - np.float32(0.5)
        rows = (y - np.float32(self.top)) * np.float32(down) - np.float32(0.5)
        return columns, rows

    def holds(self, x: Coordinates, y: Coordinates) -> bool:
        """Whether all points lie inside."""
        return bool(
            x.min() >= self.left and x.max() <= self.right and y.min() >= self.top and y.max() <= self.bottom
        )


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture's relief: the disparity of its pixels, and where in picture coordinates the picture lies."""

    disparity: Plane
    bounds: Rectangle

    def at(self, x: Coordinates, y: Coordinates) -> Plane:
        """Disparity at points in picture coordinates (2-D arrays); beyond it its border's."""
        columns, rows = self.bounds.pixels(x, y, self.disparity.shape)
        seen = cv2.remap(self.disparity, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(seen, np.float32)


@dataclass(frozen=True, slots=True)
class View:
    """The frame to fill: `width` × `height` pixels, `focal` pixels in front of the eye."""

    width: int
    height: int
    focal: float

    @property
    def extent(self) -> tuple[float, float]:
        """Width and height at the subject's plane, in picture coordinates."""
        return self.width / self.focal, self.height / self.focal

    def rays(self, columns: Coordinates, rows: Coordinates) -> Points:
        """Pixels as points on the subject's plane, seen by the resting camera."""
        across = (columns - np.float32((self.width - 1) / 2)) / np.float32(self.focal)
        down = (rows - np.float32((self.height - 1) / 2)) / np.float32(self.focal)
        return across, down

    def edge(self, nodes: int) -> Points:
        """Rays through the outermost pixels, `nodes` a side, each of shape 1 × 4 nodes."""
        across = np.linspace(0, self.width - 1, nodes, dtype=np.float32)
        down = np.linspace(0, self.height - 1, nodes, dtype=np.float32)
        columns = np.concatenate([across, across, np.zeros_like(down), np.full_like(down, self.width - 1)])
        rows = np.concatenate([np.zeros_like(across), np.full_like(across, self.height - 1), down, down])
        return self.rays(columns[None], rows[None])


def land(scene: Scene, path: Path, frames: slice, pre_zoom: float, rays: Points) -> Points:
    """Where rays of the given frames meet the picture: x and y in picture coordinates.

    Rays have the shape 1 × n for several frames (the result is frames × n), or any 2-D shape for a slice of a
    single frame (the result has that shape).
    """

    def column(track: NDArray[np.float64]) -> Coordinates:
        return track[frames, None].astype(np.float32)

    zoom = column(path.zoom * pre_zoom)
    yaw, pitch, roll = column(path.yaw), column(path.pitch), column(path.roll)
    u, v = rays[0] / zoom, rays[1] / zoom
    turned_u, turned_v = u * np.cos(roll) - v * np.sin(roll), u * np.sin(roll) + v * np.cos(roll)
    raised_v = turned_v * np.cos(pitch) - np.sin(pitch)
    forward = turned_v * np.sin(pitch) + np.cos(pitch)
    ahead = forward * np.cos(yaw) - turned_u * np.sin(yaw)
    ray_x = (turned_u * np.cos(yaw) + forward * np.sin(yaw)) / ahead
    ray_y = raised_v / ahead
    step_x, step_y = column(path.x) - ray_x * column(path.depth), column(path.y) - ray_y * column(path.depth)
    x, y = ray_x, ray_y
    for _ in range(_ROUNDS):
        disparity = scene.at(x, y)
        x, y = ray_x + disparity * step_x, ray_y + disparity * step_y
    return x, y


def relief_for(scene: Scene, path: Path, view: View) -> Scene:
    """The scene, flattened towards the subject's plane as far as the path would else fold or tear it."""
    height, width = scene.disparity.shape
    bounds = scene.bounds
    x = np.linspace(bounds.left, bounds.right, width, dtype=np.float32)[None]
    y = np.linspace(bounds.top, bounds.bottom, height, dtype=np.float32)[:, None]
    half_width, half_height = (0.6 * extent for extent in view.extent)
    seen = (np.abs(x) <= half_width) & (np.abs(y) <= half_height)
    slope_y, slope_x = np.gradient(scene.disparity, float(y[1, 0] - y[0, 0]), float(x[0, 1] - x[0, 0]))
    steepest = 0.0
    for at in range(0, len(path.x), 8):
        travel_x, travel_y = path.x[at] - x * path.depth[at], path.y[at] - y * path.depth[at]
        steepest = max(
            steepest, float(np.max(np.abs(slope_x * travel_x + slope_y * travel_y), where=seen, initial=0))
        )
    if steepest <= _STEEPEST:
        return scene
    flattened = 1.0 + (scene.disparity - 1.0) * np.float32(_STEEPEST / steepest)
    return replace(scene, disparity=flattened.astype(np.float32))


def fit(scene: Scene, path: Path, view: View) -> tuple[Path, float]:
    """Keep every frame inside the picture: the path, calmer if need be, and the zoom that it starts with.

    One zoom for the whole path, so that nothing breathes; it is the least that suffices, up to
    `MAX_PRE_ZOOM`.
    """
    inside = scene.bounds.inset(0.5 / view.focal)
    everything = slice(None)
    coarse, fine = view.edge(_EDGE_NODES), view.edge(max(view.width, view.height) // 8)

    def fits(scale: float, zoom: float, edge: Points) -> bool:
        return inside.holds(*land(scene, path.calmed(scale), everything, zoom, edge))

    scale = 1.0 if fits(1.0, MAX_PRE_ZOOM, coarse) else _bisect(lambda s: fits(s, MAX_PRE_ZOOM, coarse), 0.0, 1.0)
    zoom = _bisect(lambda z: fits(scale, z, coarse), MAX_PRE_ZOOM, 1.0)
    while not fits(scale, zoom, fine):
        zoom *= 1.002
    return path.calmed(scale), zoom


def _bisect(fits: Callable[[float], bool], good: float, other: float) -> float:
    """The value nearest to `other` that fits, to a thousandth of the way; `good` is known to fit."""
    for _ in range(10):
        middle = (good + other) / 2
        if fits(middle):
            good = middle
        else:
            other = middle
    return good
