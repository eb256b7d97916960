"""Words as they are meant: disguises come off, and other words are left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.safety.moderation.text import contains, normalise, readings


def finds(term: str, text: str) -> bool:
    return any(contains(reading, normalise(term)) for reading in readings(text))


@pytest.mark.parametrize(
    "text",
    [
        "a forbidden thing", "FORBIDDEN", "a forbidden, thing", "for\u200bbidden", "f o r b i d d e n",
        "f.o.r.b.i.d.d.e.n", "f0rb1dden", "f0rb!dden", "forbiddddden",
        "ｆｏｒｂｉｄｄｅｎ", "förbïdden", "fоrbіddеn", "_forbidden_",
        "𝓯𝓸𝓻𝓫𝓲𝓭𝓭𝓮𝓷",
        "for\u00adbidden", "F0R8IDD3N",
    ],
)  # fmt: skip
def test_disguises_come_off(text: str) -> None:
    assert finds("forbidden", text)


@pytest.mark.parametrize(
    "text", ["unforbiddenly", "a for bidden", "4k 3d render of 2 cars", "", "!!!", "for b idden"]
)
def test_other_words_are_left_alone(text: str) -> None:
    assert not finds("forbidden", text)


def test_a_figure_may_stand_for_either_of_two_letters() -> None:
    assert finds("kill", "k1ll")
    assert finds("lily", "1i1y")


def test_phrases_are_found_over_signs_and_lines() -> None:
    assert finds("red car", "a Red--car\nin the rain")
    assert not finds("red car", "a red old car")


def test_words_of_other_scripts_stay_what_they_are() -> None:
    assert normalise("Кошка сидит") == "кошка сидит"
    assert finds("кошка", "рыжая КОШКА!")


def test_scripts_without_spaces_are_searched_within() -> None:
    assert finds("禁止", "これは禁止です")


@given(st.text(max_size=80))
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert once in readings(text)


@given(st.text(alphabet="013457@$!+abkill ", max_size=60))
def test_however_many_signs_there_are_it_ends(text: str) -> None:
    assert len(readings(text)) <= 64
