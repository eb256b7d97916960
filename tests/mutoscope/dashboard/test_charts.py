"""Bars by day: their sizes, their scale, their series."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from generation.usage import Period, Use
from mutoscope.dashboard import charts
from mutoscope.dashboard.charts import Chart, series_of

FIRST = date(2026, 11, 1)
WEEK = Period(FIRST, date(2026, 11, 7))
NAMES = {"a": "Model A"}


def use(day: int, model: str, seconds: float, paid: int = 0) -> Use:
    return Use(day=FIRST + timedelta(days=day), model=model, jobs=1, clips=1, seconds=seconds, credits=paid)


def drawn(uses: list[Use], period: Period = WEEK) -> Chart:
    return charts.chart(
        "seconds", "Video", "seconds", period, uses, series_of(uses, NAMES), lambda one: one.seconds
    )


def test_bars_stand_on_the_ground_and_on_each_other() -> None:
    found = drawn([use(0, "a", 30), use(0, "b", 10), use(6, "b", 5)])
    assert (found.top, found.scale, found.width) == (40, [40, 20, 0], 70)
    first, last = found.bars[0], found.bars[-1]
    assert [(piece.series, piece.y, piece.height) for piece in first.pieces] == [(1, 25, 75), (2, 0, 25)]
    assert [(piece.series, piece.y, piece.height) for piece in last.pieces] == [(2, 87.5, 12.5)]
    assert (first.figures, first.total, last.figures) == ((30, 10), 40, (0, 5))
    assert (first.slot_x, first.x, last.slot_x) == (0, 1.5, 60)
    assert first.says == "1 November: 40 seconds (Model A 30, b 10)"
    assert last.says == "7 November: 5 seconds"
    assert found.bars[1].pieces == ()
    assert found.total == 45
    assert found.days == ["1 November", "4 November", "7 November"]


@pytest.mark.parametrize(
    ("most", "top"), [(0, 2), (0.4, 2), (1, 2), (2.1, 4), (9, 10), (10, 10), (10.5, 20), (41, 60), (799, 800)]
)
def test_the_scale_is_round(most: float, top: float) -> None:
    assert drawn([use(0, "a", most)]).top == pytest.approx(top)


def test_long_periods_are_drawn_by_weeks() -> None:
    year = Period(FIRST, FIRST + timedelta(days=365))
    found = drawn([use(0, "a", 1), use(6, "a", 2), use(7, "a", 4), use(365, "a", 8)], year)
    assert (found.each, len(found.bars)) == ("week", 53)
    assert [bar.total for bar in found.bars if bar.total] == [3, 4, 8]
    assert found.bars[1].label == "Week from 8 November"


def test_the_most_used_models_have_colours_of_their_own() -> None:
    uses = [use(0, model, seconds) for seconds, model in enumerate("abcdefgh", start=1)]
    found = series_of(uses, NAMES)
    assert [found[model].number for model in "hgfedcba"] == [1, 2, 3, 4, 5, 6, 6, 6]
    assert found["a"].name == charts.OTHERS
    assert drawn(uses).bars[0].figures == (8, 7, 6, 5, 4, 6)
    six = series_of(uses[:6], NAMES)
    assert sorted(series.name for series in six.values()) == ["Model A", "b", "c", "d", "e", "f"]


def test_models_that_made_no_second_go_by_their_credits() -> None:
    found = series_of([use(0, "a", 0, paid=1), use(0, "b", 0, paid=5)], NAMES)
    assert (found["b"].number, found["a"].number) == (1, 2)
