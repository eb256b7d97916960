"""Two sets of clips of the same pictures side by side: which one is better, in what, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from generation.outputs.quality.figures import Measured
from generation.outputs.quality.files import measure

CLIPS = frozenset({".mp4", ".mov", ".mkv", ".webm"})
PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
DRAWS = 10_000
"""Samples of the bootstrap."""
SURE = 0.95
_SEED = 20260101
"""Of the draws, so that the same clips give the same intervals."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that sets are compared by. `better` is 1 where more is better, -1 where less is, 0 where
    neither."""

    name: str
    title: str
    better: int


FIGURES = (
    Figure("coherence", "motion coherence", 1),
    Figure("smoothness", "motion smoothness", 1),
    Figure("flicker", "flicker", -1),
    Figure("dynamic_degree", "dynamic degree", 0),
    Figure("first_frame", "first-frame fidelity", 1),
    Figure("identity", "identity preservation", 1),
    Figure("sharpness", "sharpness", 1),
)
"""How much moves is told, and is neither good nor bad by itself: a set that moves less finds all others easier."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of both sets, over the pairs in which both have it.

    `low` and `high` bound the mean difference, B less A, with 95 % confidence: the bootstrap's percentiles over
    the pairs. None of fewer than two pairs.
    """

    figure: Figure
    pairs: int
    median_a: float
    median_b: float
    difference: float
    low: float | None
    high: float | None

    @property
    def better(self) -> str:
        """`A` or `B`, where the interval leaves no doubt and the figure says so; else empty."""
        if self.low is None or self.high is None or self.low <= 0 <= self.high or not self.figure.better:
            return ""
        return "B" if (self.difference > 0) == (self.figure.better > 0) else "A"

    def as_json(self) -> dict[str, Any]:
        return {
            "figure": self.figure.name, "pairs": self.pairs, "median_a": self.median_a, "median_b": self.median_b,
            "difference": self.difference, "low": self.low, "high": self.high, "better": self.better,
        }  # fmt: skip


def pairs_of(one: Path, other: Path) -> list[tuple[Path, Path]]:
    """The clips that both folders have under the same name, whatever their formats, in the order of their
    names."""
    left, right = _by_name(one, CLIPS), _by_name(other, CLIPS)
    return [(left[name], right[name]) for name in sorted(left.keys() & right.keys())]


def compare(pairs: Iterable[tuple[Path, Path]], pictures: Path | None = None) -> list[Compared]:
    """Measure the clips of both sets, and hold them against each other figure by figure.

    `pictures` is a folder with the pictures that the clips were made from, under the clips' names. Raises
    `MediaError` and `EngineError` as `files.measure` does.
    """
    stills = _by_name(pictures, PICTURES) if pictures else {}
    measured = [tuple(measure(clip, first=stills.get(clip.stem)) for clip in pair) for pair in pairs]
    return [found for figure in FIGURES if (found := _compared(figure, [(a, b) for a, b in measured]))]


def score(compared: Iterable[Compared]) -> Mapping[str, int]:
    """In how many figures each set is better for sure."""
    wins = [found.better for found in compared]
    return {side: wins.count(side) for side in ("A", "B")}


def _compared(figure: Figure, measured: Sequence[tuple[Measured, Measured]]) -> Compared | None:
    values = [(getattr(a, figure.name), getattr(b, figure.name)) for a, b in measured]
    both = np.array([(a, b) for a, b in values if a is not None and b is not None], float).reshape(-1, 2)
    if not len(both):
        return None
    differences = both[:, 1] - both[:, 0]
    low, high = _interval(differences) if len(differences) > 1 else (None, None)
    median_a, median_b = (float(median) for median in np.median(both, axis=0))
    return Compared(figure, len(both), median_a, median_b, float(differences.mean()), low, high)


def _interval(differences: Any) -> tuple[float, float]:
    """Within which the mean lies, as sure as `SURE` (percentile bootstrap; Efron and Tibshirani, 1993)."""
    rng = np.random.default_rng(_SEED)
    draws = rng.choice(differences, (DRAWS, len(differences))).mean(axis=1)
    low, high = np.quantile(draws, [(1 - SURE) / 2, (1 + SURE) / 2])
    return float(low), float(high)


def _by_name(folder: Path, suffixes: frozenset[str]) -> dict[str, Path]:
    return {file.stem: file for file in sorted(folder.iterdir()) if file.suffix.lower() in suffixes}
