"""Bars by day, stacked by model, as the template draws them.

The drawing stretches with the page: it is 10 wide for each bar and 100 high, and has no text in it. What people
read (scale, days, names) stands beside it, and every figure in a table below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil, floor, log10

from generation.limits import number
from generation.usage import Period, Use

SLOT, BAR, HEIGHT = 10.0, 7.0, 100.0
"""Width of a bar with its gap, width of the bar, height of the drawing."""
MOST_BARS = 92
"""Longer periods are drawn by weeks."""
MOST_SERIES = 5
"""The models that are told apart; the others are one series."""
OTHERS = "Other models"


@dataclass(frozen=True, slots=True)
class Series:
    """A model, or the others: `number` chooses its colour."""

    number: int
    name: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A model's part of a bar."""

    series: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """A day or a week: where it stands, its parts from the bottom up, its figures in the order of the series."""

    label: str
    x: float
    pieces: tuple[Piece, ...]
    figures: tuple[float, ...]
    says: str

    @property
    def total(self) -> float:
        return round(sum(self.figures), 3)

    @property
    def slot_x(self) -> float:
        """Where its part of the drawing begins: what a pointer finds it by."""
        return self.x - (SLOT - BAR) / 2


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing with what is written around it."""

    slug: str
    title: str
    unit: str
    each: str
    """day or week"""
    series: tuple[Series, ...]
    bars: tuple[Bar, ...]
    top: float
    """What the height of the drawing stands for."""

    @property
    def width(self) -> float:
        return SLOT * len(self.bars)

    @property
    def total(self) -> float:
        return round(sum(bar.total for bar in self.bars), 3)

    @property
    def scale(self) -> list[float]:
        """What is written at the side, from the top down."""
        return [self.top, self.top / 2, 0]

    @property
    def days(self) -> list[str]:
        """What is written below: the first, the middle and the last."""
        bars = self.bars
        return [bars[index].label for index in sorted({0, len(bars) // 2, len(bars) - 1})]


def series_of(uses: Iterable[Use], names: Mapping[str, str]) -> dict[str, Series]:
    """Which series each model belongs to: the ones used most have their own, in that order."""
    most: dict[str, tuple[float, int]] = {}
    for use in uses:
        seconds, paid = most.get(use.model or "", (0.0, 0))
        most[use.model or ""] = (seconds + use.seconds, paid + use.credits)
    slugs = sorted(most, key=lambda slug: (*(-amount for amount in most[slug]), slug))
    others = Series(MOST_SERIES + 1, OTHERS)
    room = MOST_SERIES if len(slugs) > MOST_SERIES + 1 else MOST_SERIES + 1
    return {
        slug: Series(place, names.get(slug, slug)) if place <= room else others
        for place, slug in enumerate(slugs, start=1)
    }


def chart(
    slug: str,
    title: str,
    unit: str,
    period: Period,
    uses: Iterable[Use],
    series: Mapping[str, Series],
    figure: Callable[[Use], float],
) -> Chart:
    """One figure of each use, by day (or week) and series."""
    days = 1 if period.length <= MOST_BARS else 7
    shown = tuple(sorted(set(series.values()), key=lambda one: one.number))
    sums = [dict.fromkeys(shown, 0.0) for _ in range(ceil(period.length / days))]
    for use in uses:
        if use.day is not None and use.model is not None:
            sums[(use.day - period.first).days // days][series[use.model]] += figure(use)
    top = _round_top(max(sum(slot.values()) for slot in sums))
    bars = tuple(
        _bar(place, _label(period.first + timedelta(days=place * days), days), slot, top, unit)
        for place, slot in enumerate(sums)
    )
    return Chart(slug, title, unit, "day" if days == 1 else "week", shown, bars, top)


def _bar(place: int, label: str, slot: Mapping[Series, float], top: float, unit: str) -> Bar:
    pieces, reached = [], 0.0
    for series, amount in slot.items():
        if amount:
            height = HEIGHT * amount / top
            reached += height
            pieces.append(Piece(series.number, round(HEIGHT - reached, 3), round(height, 3)))
    parts = [f"{series.name} {number(amount)}" for series, amount in slot.items() if amount]
    says = f"{label}: {number(sum(slot.values()))} {unit}" + (f" ({', '.join(parts)})" if len(parts) > 1 else "")
    x = place * SLOT + (SLOT - BAR) / 2
    return Bar(label, x, tuple(pieces), tuple(round(amount, 3) for amount in slot.values()), says)


def _label(day: date, days: int) -> str:
    return f"{day.day} {day:%B}" if days == 1 else f"Week from {day.day} {day:%B}"


def _round_top(most: float) -> float:
    """The next of 1, 2, 4, 6, 8 and 10 times a power of ten that all bars fit below: its half is round too."""
    if most <= 0:
        return 2.0
    power = 10.0 ** floor(log10(most))
    return max(2.0, next(step for step in (1, 2, 4, 6, 8, 10) if step * power >= most) * power)
