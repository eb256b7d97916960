"""Finding a mark again: the frames' common residue is searched for the pilot, decoded, and the mark proved.

A clip is read twice at most: first its key frames alone, on which encoders spend the most bits, then all frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from generation.outputs.watermark.code import decode, encode
from generation.outputs.watermark.frames import clip_frames, picture_frames
from generation.outputs.watermark.pattern import CELLS_HIGH, waves_of
from generation.outputs.watermark.search import REACHES, Residue, places_in, soft_bits, strength_of

MAX_FRAMES = 240
"""So many frames of a clip are looked at, spread over it."""
PROOF = 12.7
"""Standard deviations that a mark must stand out by. By chance it happens less than once in 10⁹ files, whatever
they show: `docs/watermark.md` has the reckoning."""
_TRIED = 5
"""Places a round that are decoded: the ones where the pilot stands out most."""
_USUAL_SIDES = (480, 512, 544, 576, 640, 704, 720, 768, 832, 1024, 1080)
"""Shorter sides that clips usually have, in pixels: what was cut out of one has cells of its size."""
_ZOOMS = np.geomspace(0.66, 1.5, 206)
"""Sizes of a cell that are tried in the end, 0.4 % apart, around that of a frame that was never cut: closer than
the coarser waves need to stay in step to the frame's edge."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A mark that was found. `strength` is in standard deviations of chance, at least `PROOF`."""

    mark: int
    strength: float


def read_clip(path: Path, *, keys: Sequence[bytes]) -> Reading | None:
    """The mark in a clip, or None where none of the keys finds one.

    The file is taken for hostile. Raises `MediaError` for one that is no clip, damaged or too slow to read.
    """
    for key_frames in (True, False):
        if found := _find(clip_frames(path, count=MAX_FRAMES, key_frames=key_frames), keys):
            return found
    return None


def read_picture(path: Path, *, keys: Sequence[bytes]) -> Reading | None:
    """The mark in a picture, such as a screenshot of one frame, or in an animated picture; else None.

    The file is taken for hostile. Raises `MediaError` for one that is no picture or too large.
    """
    return _find(picture_frames(path, count=MAX_FRAMES), keys)


def _find(frames: Iterable[NDArray[np.uint8]], keys: Sequence[bytes]) -> Reading | None:
    residue: Residue | None = None
    side = 0
    for frame in frames:
        if residue is None:
            residue, side = Residue(frame.shape[1], frame.shape[0]), min(frame.shape)
        residue.see(frame)
    if residue is None:
        return None
    whole = side / CELLS_HIGH
    rounds: tuple[tuple[Residue, Iterable[float], Sequence[int]], ...] = (
        (residue, (whole, 1.0), REACHES),
        (residue.mirrored(), (whole, 1.0), REACHES),
        (residue, [side / CELLS_HIGH for side in _USUAL_SIDES], REACHES),
        (residue, whole * _ZOOMS, REACHES[1:]),
    )
    found = (_search(*asked, key) for key in keys for asked in rounds)
    return next((one for one in found if one), None)


def _search(residue: Residue, cells: Iterable[float], reaches: Sequence[int], key: bytes) -> Reading | None:
    """The mark with the strongest proof, of cells of these sizes in pixels."""
    waves = waves_of(key)
    places = [place for cell in cells for place in places_in(residue, cell, reaches, waves)]
    best = sorted(places, key=lambda place: -place.pilot)[:_TRIED]
    heard = [place.refined(residue, waves).values(residue, waves) for place in best]
    marks = decode(np.array([soft_bits(values, waves) for values in heard]))
    found = [
        Reading(mark, strength_of(values, waves, encode(mark)))
        for mark, values in zip(marks, heard, strict=True)
        if mark is not None
    ]
    return max((one for one in found if one.strength >= PROOF), key=lambda one: one.strength, default=None)
