"""Where marks stand and how they drift: within the frame, through all of it, never over each other."""

from __future__ import annotations

from itertools import product
from math import cos, pi, sin

import pytest

from generation.models import VisibleMark
from generation.outputs.visible.placing import LONGEST, SHORTEST, Frame, Way, Wish, round_in

POSITIONS = VisibleMark.Position.values
SHAPES = [(60, 12), (200, 20), (620, 90), (90, 90)]
FRAME = (640, 360, 11)


def path(way: Way) -> list[tuple[float, float]]:
    return [way.at(index * way.period / 200) for index in range(200 if way.period else 1)]


@pytest.mark.parametrize("position", POSITIONS)
def test_a_still_mark_is_where_it_was_put(position: str) -> None:
    (way,) = Frame(*FRAME).arrange([Wish(100, 20, position, drifts=False)])
    x, y = way.at(3)
    assert x == {"left": 11, "right": 529}.get(position.rpartition("_")[2], 270)
    assert y == {"top": 11, "bottom": 329}.get(position.partition("_")[0], 170)
    assert way.expressions == (f"{x:g}", f"{y:g}")


@pytest.mark.parametrize("shape", SHAPES)
def test_a_drifting_mark_visits_every_quarter_and_never_leaves(shape: tuple[int, int]) -> None:
    (way,) = Frame(*FRAME).arrange([Wish(*shape, "center", drifts=True)], seconds=5)
    width, height = shape
    quarters = set()
    for x, y in path(way):
        assert 0 <= x <= 640 - width
        assert 0 <= y <= 360 - height
        quarters.add((x + width / 2 > 320, y + height / 2 > 180))
    assert len(quarters) == 4 or width > 600  # so wide a mark is in two quarters at once


def test_what_ffmpeg_is_told_is_the_same_way() -> None:
    (way,) = Frame(*FRAME).arrange([Wish(100, 20, "center", drifts=True)], seconds=5)
    for t in (0, 0.4, 1.9, 4.9):
        names = {"PI": pi, "t": t, "cos": cos, "sin": sin}
        assert [eval(told, names) for told in way.expressions] == pytest.approx(way.at(t), abs=0.01)  # noqa: S307


def test_a_round_closes_with_the_clip() -> None:
    assert round_in(5.0) == 5.0
    assert round_in(2.0) == SHORTEST
    assert round_in(50.0) == pytest.approx(50 / 3)
    assert round_in(60.0) == LONGEST


@pytest.mark.parametrize(("first", "second"), list(product(POSITIONS, POSITIONS)))
def test_two_never_cover_each_other(first: str, second: str) -> None:
    for one, other in product(SHAPES, SHAPES):
        for drifts in product((False, True), repeat=2):
            wishes = [Wish(*one, first, drifts[0]), Wish(*other, second, drifts[1])]
            ways = Frame(*FRAME).arrange(wishes, seconds=6)
            for index in range(120):
                corners = [way.at(index / 20) for way in ways]
                apart_x = corners[0][0] + one[0] <= corners[1][0] or corners[1][0] + other[0] <= corners[0][0]
                apart_y = corners[0][1] + one[1] <= corners[1][1] or corners[1][1] + other[1] <= corners[0][1]
                assert apart_x or apart_y, (wishes, ways, index)
                for (x, y), (width, height) in zip(corners, (one, other), strict=True):
                    assert 0 <= x <= 640 - width
                    assert 0 <= y <= 360 - height


def test_the_second_gives_way() -> None:
    ways = Frame(*FRAME).arrange([Wish(90, 20, "top_left", False), Wish(90, 20, "top_left", False)])
    assert [way.at(0) for way in ways] == [(11, 11), (539, 11)]
    ways = Frame(*FRAME).arrange([Wish(90, 20, "top_left", False), Wish(90, 20, "bottom_left", False)])
    assert [way.at(0) for way in ways] == [(11, 11), (11, 329)]
