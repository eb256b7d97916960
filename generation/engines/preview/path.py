"""From a shot to the camera's path: where it stands, where it looks and how long its lens is, frame by frame.

Units: lengths in depths of the subject's plane (1.0 away), angles in radians. Axes: x right, y down, z
forward.
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
PAN_SHARE, TRUCK_SHARE = 0.06, 0.07  # of the view's width
TILT_SHARE, PEDESTAL_SHARE, CRANE_SHARE = 0.06, 0.07, 0.15  # of the view's height
SPARE_SHARE, MOST_SPARE = 0.5, 0.4  # of what the picture has beyond the view; at most this much of the view
ROLL_ANGLE, ORBIT_ANGLE = math.radians(5.0), math.radians(6.5)
HANDHELD_ANGLE, HANDHELD_SWAY = math.radians(0.3), 0.005
DRIFT_SHARE = 0.014
STATIC_DRIFT = 0.3  # of the drift that is asked for by name

DEEPEST_PUSH = 0.45
"""The camera never comes nearer than this to the subject's plane: a still has nothing finer to show there."""

_CRANE_FOLLOW = 0.6  # how much of the subject's displacement a crane's head takes back
_OVERLAP = 0.06  # by how much of the clip one step of a shot reaches into the next
_RAMP = 0.35  # share of a move that speeds up, and again that slows down


@dataclass(frozen=True, slots=True)
class Room:
    """The view's size at the subject's plane, and how far the picture goes beyond it on each side."""

    width: float
    height: float
    left: float = 0.0
    right: float = 0.0
    up: float = 0.0
    down: float = 0.0

    def sideways(self, share: float, direction: int) -> float:
        """How far to go right (+1) or left (-1): a share of the width, and some of what is there to see."""
        spare = SPARE_SHARE * (self.right if direction > 0 else self.left)
        return direction * (share * self.width + min(spare, MOST_SPARE * self.width))

    def upwards(self, share: float, direction: int) -> float:
        """How far to go up (+1) or down (-1), likewise."""
        spare = SPARE_SHARE * (self.up if direction > 0 else self.down)
        return direction * (share * self.height + min(spare, MOST_SPARE * self.height))


@dataclass(frozen=True, slots=True)
class Path:
    """The camera frame by frame: position, yaw to the right, pitch up, roll clockwise, log of the zoom.

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


def plan_path(shot: Shot, frames: int, fps: int, seed: int, room: Room) -> Path:
    """The path of a shot over `frames` frames at `fps` a second.

    The photograph is the widest view: push and zoom are shifted so that they never go behind it, so a pull
    out ends on the photograph and everything else starts on it. Every random choice comes from `seed`.
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
            for name, amount in _amounts(move, room).items():
                tracks[name] += amount * patience * glide
    _add_texture(tracks, shot, seconds, ease(progress), rng)
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


def _amounts(move: Move, room: Room) -> dict[str, float]:
    """By how much a move changes each track."""
    way, speed = move.direction, move.speed
    rise, arc = way * speed * CRANE_SHARE * room.height, way * speed * ORBIT_ANGLE
    amounts: dict[Kind, dict[str, float]] = {
        Kind.PUSH: {"z": way * speed * PUSH_DEPTH},
        Kind.ZOOM: {"log_zoom": way * speed * ZOOM_LOG},
        Kind.DOLLY_ZOOM: {"vertigo": way * speed * DOLLY_ZOOM_DEPTH},
        Kind.PAN: {"yaw": math.atan(speed * room.sideways(PAN_SHARE, way))},
        Kind.TILT: {"pitch": math.atan(speed * room.upwards(TILT_SHARE, way))},
        Kind.ROLL: {"roll": way * speed * ROLL_ANGLE},
        Kind.TRUCK: {"x": speed * room.sideways(TRUCK_SHARE, way)},
        Kind.PEDESTAL: {"y": -speed * room.upwards(PEDESTAL_SHARE, way)},
        Kind.CRANE: {"y": -rise, "pitch": -_CRANE_FOLLOW * math.atan(rise)},
        # The chord of a small arc, with the head turned back to the subject.
        Kind.ORBIT: {"x": math.tan(arc), "yaw": -arc},
    }
    return amounts.get(move.kind, {})


def _add_texture(
    tracks: dict[str, Track],
    shot: Shot,
    seconds: Track,
    glide: Track,
    rng: np.random.Generator,
) -> None:
    """Add what runs through the whole clip and is the seed's choice: a drift's way, a hand's tremor."""
    heading = rng.uniform(0.0, 2.0 * math.pi)
    strengths = {move.kind: move.speed for move in shot.moves}
    drift = DRIFT_SHARE * (strengths.get(Kind.DRIFT, 0.0) + STATIC_DRIFT * strengths.get(Kind.STATIC, 0.0))
    tracks["x"] += drift * math.cos(heading) * glide
    tracks["y"] += drift * math.sin(heading) * glide
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
    """Smooth noise of unit size from 0.2 to 2 Hz, 0 at the start: slow sway and a weaker quick tremble."""
    hertz = np.geomspace(0.2, 2.0, 7) * rng.uniform(0.9, 1.1, 7)
    phases = rng.uniform(0.0, 2.0 * math.pi, 7)
    weights = 1.0 / hertz**0.8
    weights /= math.sqrt(float(np.sum(weights**2)) / 2.0)
    waves: Track = np.sin(2.0 * math.pi * hertz * seconds[:, None] + phases) - np.sin(phases)
    return waves @ weights
