"""From a shot to the camera's path: where it stands, where it looks and how long its lens is, frame by frame.

Units: lengths in depths of the subject's plane (1.0 away), angles in radians. Axes: x right, y down, z forward.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from generation.engines.preview.moves import Move, Shot
from generation.engines.preview.vocabulary import Kind

Track: TypeAlias = NDArray[np.float64]
"""One number a frame."""

USUAL_SECONDS = 4.0
"""The amounts below are for a move that takes this long at speed 1.0."""

PUSH_DEPTH = 0.2  # the subject grows by 1 / (1 - 0.2) = 1.25
ZOOM_LOG = 0.24  # the picture grows by exp(0.24) = 1.27
DOLLY_ZOOM_DEPTH = 0.35
PAN_SHARE, TRUCK_SHARE = 0.075, 0.08  # of the view's width
TILT_SHARE, CRANE_SHARE = 0.09, 0.1  # of the view's height
ROLL_ANGLE, ORBIT_ANGLE = math.radians(5.0), math.radians(8.0)
HANDHELD_ANGLE, HANDHELD_SWAY = math.radians(0.3), 0.005
DRIFT_SHARE = 0.014
STATIC_DRIFT = 0.3  # of the drift that is asked for by name

DEEPEST_PUSH = 0.45
"""The camera never comes nearer than this to the subject's plane: a still has nothing finer to show there."""

_CRANE_FOLLOW = 0.6  # how much of the subject's displacement a crane's head takes back
_OVERLAP = 0.06  # by how much of the clip one step of a shot reaches into the next
_RAMP = 0.35  # share of a move that speeds up, and again that slows down


@dataclass(frozen=True, slots=True)
class Path:
    """The camera frame by frame: position (x, y, z), yaw right, pitch up, roll clockwise, logarithm of the zoom.

    `vertigo` is a dolly zoom: the camera goes back by it while the lens keeps the subject's size.
    """

    x: Track
    y: Track
    z: Track
    yaw: Track
    pitch: Track
    roll: Track
    log_zoom: Track
    vertigo: Track

    @property
    def depth(self) -> Track:
        """How far the camera has come forward, its dolly zoom included."""
        return self.z - self.vertigo

    @property
    def zoom(self) -> Track:
        """Focal length as a multiple of the picture's own."""
        return np.exp(self.log_zoom) * (1.0 + self.vertigo)

    def calmed(self, scale: float) -> Path:
        """The path with everything that needs room beside the picture scaled down; push and zoom stay."""
        names = ("x", "y", "yaw", "pitch", "roll", "vertigo")
        return replace(self, **{name: getattr(self, name) * scale for name in names})


def plan_path(shot: Shot, frames: int, fps: int, seed: int, view: tuple[float, float]) -> Path:
    """The path of a shot over `frames` frames. `view` is the view's width and height at the subject's plane.

    The photograph is the widest view: push and zoom are shifted so that they never go behind it, so a pull out
    ends on the photograph and everything else starts on it. Every random choice comes from `seed`.
    """
    seconds = np.arange(frames) / fps
    clip = frames / fps
    progress = np.linspace(0.0, 1.0, frames) if frames > 1 else np.zeros(1)
    rng = np.random.Generator(np.random.PCG64(seed % 2**64))
    tracks = {name: np.zeros(frames) for name in Path.__dataclass_fields__}
    count = len(shot.steps)
    for at, step in enumerate(shot.steps):
        start = at / count - _OVERLAP if at else 0.0
        end = (at + 1) / count + _OVERLAP if at < count - 1 else 1.0
        glide = ease((progress - start) / (end - start))
        patience = min(max(math.sqrt((end - start) * clip / USUAL_SECONDS), 0.4), 1.6)
        for move in step:
            for name, amount in _amounts(move, view).items():
                tracks[name] += amount * patience * glide
    _add_texture(tracks, shot, seconds, ease(progress), rng, view)
    tracks["z"] = np.minimum(tracks["z"] - tracks["z"].min(), DEEPEST_PUSH)
    tracks["log_zoom"] -= tracks["log_zoom"].min()
    return Path(**tracks)


def ease(progress: Track) -> Track:
    """Position from 0 to 1 over progress from 0 to 1: speed up, cruise, slow down.

    Speed and acceleration are zero at both ends, and the jerk is bounded; outside of 0 to 1 the camera rests.
    """
    t = np.clip(progress, 0.0, 1.0)

    def risen(share: Track) -> Track:
        # The integral of smoothstep, which is how the speed rises.
        return share**3 - share**4 / 2

    rising = _RAMP * risen(np.minimum(t / _RAMP, 1.0)) + np.maximum(t - _RAMP, 0.0)
    braking = np.maximum(t - (1.0 - _RAMP), 0.0)
    return (rising - braking + _RAMP * (0.5 - risen(1.0 - braking / _RAMP))) / (1.0 - _RAMP)


def _amounts(move: Move, view: tuple[float, float]) -> dict[str, float]:
    """By how much a move changes each track."""
    width, height = view
    amount = move.direction * move.speed
    match move.kind:
        case Kind.PUSH:
            return {"z": PUSH_DEPTH * amount}
        case Kind.ZOOM:
            return {"log_zoom": ZOOM_LOG * amount}
        case Kind.DOLLY_ZOOM:
            return {"vertigo": DOLLY_ZOOM_DEPTH * amount}
        case Kind.PAN:
            return {"yaw": math.atan(PAN_SHARE * width * amount)}
        case Kind.TILT:
            return {"pitch": math.atan(TILT_SHARE * height * amount)}
        case Kind.ROLL:
            return {"roll": ROLL_ANGLE * amount}
        case Kind.TRUCK:
            return {"x": TRUCK_SHARE * width * amount}
        case Kind.PEDESTAL:
            return {"y": -CRANE_SHARE * height * amount}
        case Kind.CRANE:
            rise = CRANE_SHARE * height * amount * 1.5
            return {"y": -rise, "pitch": -_CRANE_FOLLOW * math.atan(rise)}
        case Kind.ORBIT:
            # The chord of a small arc, with the head turned back to the subject.
            return {"x": math.tan(ORBIT_ANGLE * amount), "yaw": -ORBIT_ANGLE * amount}
        case _:
            return {}


def _add_texture(
    tracks: dict[str, Track],
    shot: Shot,
    seconds: Track,
    glide: Track,
    rng: np.random.Generator,
    view: tuple[float, float],
) -> None:
    """Add what runs through the whole clip and is the seed's choice: the way of a drift, the tremor of a hand."""
    heading = rng.uniform(0.0, 2.0 * math.pi)
    strengths = {move.kind: move.speed for move in shot.moves}
    drift = DRIFT_SHARE * (strengths.get(Kind.DRIFT, 0.0) + STATIC_DRIFT * strengths.get(Kind.STATIC, 0.0))
    tracks["x"] += drift * max(view) * math.cos(heading) * glide
    tracks["y"] += drift * max(view) * math.sin(heading) * glide
    shake = strengths.get(Kind.HANDHELD, 0.0)
    for name, amount in (
        ("x", HANDHELD_SWAY),
        ("y", HANDHELD_SWAY),
        ("yaw", HANDHELD_ANGLE),
        ("pitch", HANDHELD_ANGLE),
        ("roll", HANDHELD_ANGLE),
    ):
        tracks[name] += shake * amount * _tremor(seconds, rng)


def _tremor(seconds: Track, rng: np.random.Generator) -> Track:
    """Smooth noise of about unit size between 0.2 and 2 Hz that is 0 at the start: slow sway, weak quick tremble."""
    hertz = np.geomspace(0.2, 2.0, 7) * rng.uniform(0.9, 1.1, 7)
    phases = rng.uniform(0.0, 2.0 * math.pi, 7)
    weights = 1.0 / hertz**0.8
    weights /= math.sqrt(float(np.sum(weights**2)) / 2.0)
    waves: Track = np.sin(2.0 * math.pi * hertz * seconds[:, None] + phases) - np.sin(phases)
    return waves @ weights
