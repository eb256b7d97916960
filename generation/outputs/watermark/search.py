"""Where in a picture a tile may lie, and how well a mark fits there.

Waves of the key are looked for in the *residue*: what frames have in common when the picture's own coarse forms
are taken off and busy places are turned down. It is folded to one tile, on which the pilot's place is found for
all shifts at once by a Fourier transform.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from generation.outputs.watermark.code import CODED_BITS
from generation.outputs.watermark.pattern import CELLS_HIGH, HIGHEST, TILE, Waves

_LOUDEST = 2.0
"""How much stronger than those around it a wave may count: a host's own lines must not drown the others."""
_MEDIAN = 7
"""Cells: the side of the window in which a pixel's surroundings are judged."""
_CUT = np.float32(3.0)
"""Levels: what differs more from its surroundings counts as if it differed by this."""
REACHES = (HIGHEST, 28, 20)
"""Periods a tile up to which waves are listened to: where the finest are lost, what is heard there is noise."""
_FINE_SHIFTS = np.linspace(-0.75, 0.75, 7)
"""Cells."""
_FINE_ZOOMS = (0.9987, 1.0, 1.0013)


class Residue:
    """What the frames seen so far have in common beside their picture."""

    def __init__(self, width: int, height: int) -> None:
        self._sum = np.zeros((height, width), np.float32)
        self._cell = max(1.0, min(width, height) / CELLS_HIGH)

    def see(self, brightness: NDArray[np.uint8]) -> None:
        """Add a frame: uint8, height × width."""
        # Strokes and edges differ from the median by far more than any mark: cut off before they are smeared.
        middle = cv2.medianBlur(brightness, round(_MEDIAN * self._cell) | 1)
        detail = cv2.subtract(brightness, middle, dtype=cv2.CV_32F)
        detail = _CUT * np.tanh(detail / _CUT)
        fine = cv2.subtract(
            cv2.GaussianBlur(detail, (0, 0), 0.6 * self._cell), cv2.GaussianBlur(detail, (0, 0), 3.0 * self._cell)
        )
        window = (round(8 * self._cell) | 1,) * 2
        around = np.sqrt(np.maximum(cv2.blur(cv2.multiply(fine, fine), window), 0))
        # What is left of a busy picture is still louder than the pattern is there.
        self._sum += fine / (around + np.float32(1.0))

    def mirrored(self) -> Residue:
        """The same of frames with left and right exchanged."""
        other = Residue(self._sum.shape[1], self._sum.shape[0])
        other._sum = np.ascontiguousarray(self._sum[:, ::-1])
        return other

    def tile(self, cell: float) -> NDArray[np.float32]:
        """All of it folded to one tile of 128 × 128 cells, where a cell is `cell` pixels."""
        height, width = self._sum.shape
        across, down = max(1, int(width / cell)), max(1, int(height / cell))
        to_pixels = np.array([[cell, 0, cell / 2 - 0.5], [0, cell, cell / 2 - 0.5]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cells = cv2.warpAffine(self._sum, to_pixels, (across, down), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        room = np.zeros((-(-down // TILE) * TILE, -(-across // TILE) * TILE), np.float32)
        room[:down, :across] = cells
        return np.asarray(room.reshape(-1, TILE, room.shape[1] // TILE, TILE).sum(axis=(0, 2)))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tile may lie: the size of a cell in pixels, and the shift in cells.

    Waves of up to `reach` periods a tile are listened to; `pilot` is how far those of the pilot stand out, in
    standard deviations of chance.
    """

    cell: float
    reach: int
    down: float
    across: float
    pilot: float

    def refined(self, residue: Residue, waves: Waves) -> Place:
        """The best place near this one."""
        pilot, best = waves.pilot & (waves.periods < self.reach), self
        downs, acrosses = self.down + _FINE_SHIFTS, self.across + _FINE_SHIFTS
        turns_down = _turns(waves.row[pilot], downs)
        turns_across = _turns(waves.column[pilot], acrosses) * waves.phase[pilot].conj()
        for cell in (self.cell * zoom for zoom in _FINE_ZOOMS):
            values = _spectrum(residue.tile(cell), waves)[pilot]
            scores = ((turns_down * values) @ turns_across.T).real / _noise(values)
            at = np.unravel_index(int(scores.argmax()), scores.shape)
            if scores[at] > best.pilot:
                best = Place(cell, self.reach, downs[at[0]], acrosses[at[1]], float(scores[at]))
        return best

    def values(self, residue: Residue, waves: Waves) -> NDArray[np.complex64]:
        """What is found there on each wave, turned by the shift; 0 beyond the reach."""
        shift = _turns(waves.row, np.array([self.down])) * _turns(waves.column, np.array([self.across]))
        return _within(self.reach, _spectrum(residue.tile(self.cell), waves) * shift[0], waves)


def places_in(residue: Residue, cell: float, reaches: Sequence[int], waves: Waves) -> list[Place]:
    """The places where the pilot stands out most, for one size of a cell: one for each reach."""
    whole, pilot = _spectrum(residue.tile(cell), waves), waves.pilot
    places = []
    for reach in reaches:
        values = _within(reach, whole, waves)[pilot]
        plane = np.zeros((TILE, TILE), np.complex64)
        plane[waves.row[pilot], waves.column[pilot]] = values * waves.phase[pilot].conj()
        scores = np.fft.ifft2(plane).real
        at = int(scores.argmax())
        score = float(scores.flat[at] * TILE * TILE / _noise(values))
        places.append(Place(cell, reach, float(at // TILE), float(at % TILE), score))
    return places


def soft_bits(values: NDArray[np.complex64], waves: Waves) -> NDArray[np.float32]:
    """How much speaks for a 0 in each coded bit; shape (CODED_BITS,)."""
    data = ~waves.pilot
    spoken = (values[data] * waves.phase[data].conj()).real
    return np.bincount(waves.bit[data], weights=spoken, minlength=CODED_BITS).astype(np.float32)


def clarity(brightness: NDArray[np.uint8], cell: float, waves: Waves, coded: NDArray[np.int8]) -> float:
    """How far a mark stands out of one frame (uint8, height × width) that was never cut."""
    residue = Residue(brightness.shape[1], brightness.shape[0])
    residue.see(brightness)
    whole = _spectrum(residue.tile(cell), waves)
    return max(strength_of(_within(reach, whole, waves), waves, coded) for reach in REACHES)


def strength_of(values: NDArray[np.complex64], waves: Waves, coded: NDArray[np.int8]) -> float:
    """How far a whole mark stands out of what was found at a place, in standard deviations of chance."""
    return float((values * waves.signed(coded).conj()).real.sum() / _noise(values))


def _spectrum(tile: NDArray[np.float32], waves: Waves) -> NDArray[np.complex64]:
    """The tile's waves, each in units of what is usual around it, and at most `_LOUDEST`."""
    whole = np.fft.fft2(tile)
    power = (np.abs(whole) ** 2).astype(np.float32)
    usual = np.sqrt(cv2.blur(np.pad(power, 4, mode="wrap"), (9, 9))[4:-4, 4:-4] + 1e-9)
    values = (whole / usual)[waves.row, waves.column]
    return np.asarray(values * np.minimum(1.0, _LOUDEST / np.maximum(np.abs(values), 1e-9)), np.complex64)


def _within(reach: int, values: NDArray[np.complex64], waves: Waves) -> NDArray[np.complex64]:
    return np.where(waves.periods < reach, values, 0).astype(np.complex64)


def _noise(values: NDArray[np.complex64]) -> float:
    """The standard deviation of their agreement with phases drawn at random."""
    return float(np.sqrt((np.abs(values) ** 2).sum() / 2) + 1e-9)


def _turns(periods: NDArray[np.intp], shifts: NDArray[np.float64]) -> NDArray[np.complex64]:
    """By what waves of so many periods a tile turn when it is shifted back; shape (shifts, waves)."""
    return np.asarray(np.exp(2j * np.pi / TILE * shifts[:, None] * periods), np.complex64)
