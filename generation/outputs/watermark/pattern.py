"""The keyed pattern: which waves a mark is made of, and a tile of them.

A tile is 128 × 128 *cells* and repeats over the frame. In its Fourier transform the waves of 12 to 40 periods a
tile carry the mark, each with a phase that only the key tells; readers do not mind how strong each is. A quarter
of them are always the same (the *pilot*, by which the tile's place is found); on the others a coded bit turns the
phase by half a period, each bit on several waves.

A cell is `1 / CELLS_HIGH` of the frame's shorter side, so that a clip keeps its pattern when it is scaled; in
small frames it is a pixel.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from generation.outputs.watermark.code import CODED_BITS

TILE = 128
"""Cells, on each side."""
CELLS_HIGH = 360
"""Cells along the shorter side of a frame that has at least as many pixels there."""
LOWEST, HIGHEST = 12, 40
"""Periods a tile: lower ones show more, higher ones are the first to go in compression and scaling."""
PILOT_SHARE = 0.25


def cell_pixels(width: int, height: int) -> float:
    """The side of a cell in a frame of that size, in pixels."""
    return max(1.0, min(width, height) / CELLS_HIGH)


@dataclass(frozen=True, slots=True)
class Waves:
    """The waves of a key; each array has one entry a wave.

    `row` and `column` are its place in a 128 × 128 Fourier transform (one of the two that mirror each other);
    `phase` is a complex number of size 1; `bit` is the coded bit it carries, −1 in the pilot.
    """

    row: NDArray[np.intp]
    column: NDArray[np.intp]
    phase: NDArray[np.complex64]
    bit: NDArray[np.intp]

    @property
    def periods(self) -> NDArray[np.float64]:
        """Of each wave, along its own direction, a tile."""
        return np.hypot(self.row, self.column)

    @property
    def pilot(self) -> NDArray[np.bool_]:
        """Which waves are the pilot's."""
        return self.bit < 0

    def signed(self, coded: NDArray[np.int8]) -> NDArray[np.complex64]:
        """The phases, turned by the coded bits (±1, shape (CODED_BITS,))."""
        signs = np.where(self.pilot, 1, coded[self.bit])
        return (self.phase * signs).astype(np.complex64)


@lru_cache(maxsize=32)
def waves_of(key: bytes) -> Waves:
    """The waves of a key."""
    row, column = _half_ring()
    # Not numpy's generator: what it draws may change with its version, and old clips must stay readable.
    drawn = np.frombuffer(hashlib.shake_256(b"waves" + key).digest(8 * len(row)), "<u4").reshape(2, -1)
    phase = np.exp(2j * np.pi * drawn[0] / 2**32).astype(np.complex64)
    order = np.argsort(drawn[1], kind="stable")
    pilots = round(PILOT_SHARE * len(row))
    bit = np.empty(len(row), np.intp)
    bit[order[:pilots]] = -1
    bit[order[pilots:]] = np.arange(len(row) - pilots) % CODED_BITS
    return Waves(row, column, phase, bit)


def tile_of(waves: Waves, coded: NDArray[np.int8], *, fall: float) -> NDArray[np.float32]:
    """The tile that says the coded bits: 128 × 128 values of mean 0 and standard deviation 1.

    A wave of p periods is as strong as p to the power of −`fall`.
    """
    spectrum = np.zeros((TILE, TILE), np.complex128)
    signed = waves.signed(coded) * waves.periods**-fall
    spectrum[waves.row, waves.column] = signed
    spectrum[-waves.row, -waves.column] = signed.conj()
    tile = np.fft.ifft2(spectrum).real
    return np.asarray(tile / tile.std(), np.float32)


def _half_ring() -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    periods = np.rint(np.fft.fftfreq(TILE) * TILE).astype(np.intp)
    down, across = np.meshgrid(periods, periods, indexing="ij")
    square = down**2 + across**2
    ring = (square >= LOWEST**2) & (square < HIGHEST**2) & ((across > 0) | ((across == 0) & (down > 0)))
    return down[ring], across[ring]
