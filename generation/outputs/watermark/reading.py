"""Finding a mark again: in the frames' common residue, where it lies if nothing was cut off, and then anywhere.

What is heard at a place is decoded, and compared with each mark that was ever issued: one that is too weak to be
decoded can still be told among those. Either way it is proved before it is told. A clip is read twice at most:
first its key frames alone, on which encoders spend the most bits, then all frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from generation.outputs.watermark.code import MARK_BITS, decode, encode, most_likely
from generation.outputs.watermark.frames import Look, clip_frames, picture_frames
from generation.outputs.watermark.pattern import CELLS_HIGH, Waves, waves_of
from generation.outputs.watermark.search import REACHES, Place, Residue, places_in, soft_bits, strength_of

MAX_FRAMES = 240
"""So many frames of a clip are looked at, spread over it."""
CHANCE = 1e-10
"""How often a mark may be told by chance where there is none, at most, in each of the two ways of looking."""
SURE = 1e4
"""How much likelier than the next an issued mark must be."""
_UNCUT, _ANYWHERE = 8, 38
"""Bits of what is tried beside marks: `docs/watermark.md` has the reckoning."""
_TRIED = 5
"""Places a round that are decoded: the ones where the pilot stands out most."""
_USUAL_SIDES = (480, 512, 544, 576, 640, 704, 720, 768, 832, 1024, 1080)
"""Shorter sides that clips usually have, in pixels: what was cut out of one has cells of its size."""
_ZOOMS = np.geomspace(0.66, 1.5, 206)
"""Sizes of a cell that are tried in the end, 0.4 % apart, around that of a frame that was never cut: closer than
the coarser waves need to stay in step to the frame's edge."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A mark that was found. `strength` is in standard deviations of chance, at least `proof()` of it."""

    mark: int
    strength: float


def proof(marks: float, tried: int) -> float:
    """Standard deviations that a mark must stand out by, where so many marks and 2^`tried` places were tried."""
    return float(np.sqrt(2 * (np.log(marks) + np.log(2) * tried - np.log(CHANCE))))


def read_clip(path: Path, *, keys: Sequence[bytes], issued: int = 0) -> Reading | None:
    """The mark in a clip, or None where none of the keys finds one.

    Marks of 1 to `issued` are found where they are weaker, too. The file is taken for hostile. Raises `MediaError`
    for one that is no clip, damaged or too slow to read.
    """
    for key_frames in (True, False):
        if found := _find(clip_frames(path, count=MAX_FRAMES, key_frames=key_frames), keys, issued):
            return found
    return None


def read_picture(path: Path, *, keys: Sequence[bytes], issued: int = 0) -> Reading | None:
    """The mark in a picture, such as a screenshot of one frame, or in an animated picture; else None.

    As `read_clip`. Raises `MediaError` for a file that is no picture or too large.
    """
    return _find(picture_frames(path, count=MAX_FRAMES), keys, issued)


def _find(looks: Iterable[Look], keys: Sequence[bytes], issued: int) -> Reading | None:
    residue: Residue | None = None
    scale, side = 1.0, 0
    for look in looks:
        if residue is None:
            residue, scale, side = Residue(*look.frame.shape[::-1]), look.scale, min(look.frame.shape)
        residue.see(look.frame)
    if residue is None:
        return None
    whole = side / CELLS_HIGH
    mirrored = residue.mirrored()
    for key in keys:
        for either in (residue, mirrored):
            if reading := _uncut(either, (whole, scale), key, issued):
                return reading
    rounds: tuple[tuple[Residue, Iterable[float], Sequence[int]], ...] = (
        (residue, (whole, scale), REACHES),
        (mirrored, (whole, scale), REACHES),
        (residue, [usual / CELLS_HIGH * scale for usual in _USUAL_SIDES], REACHES),
        (residue, whole * _ZOOMS, REACHES[1:]),
    )
    found = (_search(*asked, key, issued) for key in keys for asked in rounds)
    return next((one for one in found if one), None)


def _uncut(residue: Residue, cells: Iterable[float], key: bytes, issued: int) -> Reading | None:
    """The mark where it lies in frames that have kept their upper left corner."""
    waves = waves_of(key)
    heard = [Place(cell, reach, 0.0, 0.0, 0.0).values(residue, waves) for cell in cells for reach in REACHES]
    return _proved(heard, waves, issued, tried=_UNCUT)


def _search(
    residue: Residue, cells: Iterable[float], reaches: Sequence[int], key: bytes, issued: int
) -> Reading | None:
    """The mark with the strongest proof, of cells of these sizes in pixels."""
    waves = waves_of(key)
    places = [place for cell in cells for place in places_in(residue, cell, reaches, waves)]
    best = sorted(places, key=lambda place: -place.pilot)[:_TRIED]
    heard = [place.refined(residue, waves).values(residue, waves) for place in best]
    return _proved(heard, waves, issued, tried=_ANYWHERE)


def _proved(heard: Sequence[NDArray[np.complex64]], waves: Waves, issued: int, *, tried: int) -> Reading | None:
    """The strongest mark in what was heard at some places, if it is no chance."""
    soft = np.array([soft_bits(values, waves) for values in heard])
    found = []
    for values, mark in zip(heard, decode(soft), strict=True):
        if mark is not None and (strength := _strength(values, waves, mark)) >= proof(2.0**MARK_BITS, tried):
            found.append(Reading(mark, strength))
    for values, (mark, second) in zip(heard, most_likely(soft, issued) if issued else (), strict=bool(issued)):
        strength = _strength(values, waves, mark)
        lead = np.inf if second is None else strength - _strength(values, waves, second)
        # The likelihoods of two marks are as e to their strengths' difference times that of the right one.
        if strength >= proof(issued, tried) and lead * strength >= np.log(SURE):
            found.append(Reading(mark, strength))
    return max(found, key=lambda one: one.strength, default=None)


def _strength(values: NDArray[np.complex64], waves: Waves, mark: int) -> float:
    return strength_of(values, waves, encode(mark))
