"""The payload's code: every mark comes back, noise or not, and noise alone says nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generation.outputs.watermark.code import CODED_BITS, MARK_BITS, decode, encode, most_likely

MARKS = st.integers(0, 2**MARK_BITS - 1)


@settings(max_examples=40, deadline=None)
@given(MARKS, st.floats(0.01, 1000))
def test_every_mark_comes_back(mark: int, loudness: float) -> None:
    assert decode((encode(mark) * np.float32(loudness))[None]) == [mark]


@settings(max_examples=20, deadline=None)
@given(MARKS, st.integers(0, 2**32 - 1))
def test_it_outlives_noise(mark: int, seed: int) -> None:
    """Noise of the bits' own strength: one bit in six is wrong."""
    noise = np.random.default_rng(seed).normal(size=CODED_BITS).astype(np.float32)
    assert decode((encode(mark) + noise)[None]) == [mark]


@settings(max_examples=20, deadline=None)
@given(MARKS, st.integers(0, CODED_BITS - 20))
def test_it_outlives_a_gap(mark: int, start: int) -> None:
    soft = encode(mark).astype(np.float32)
    soft[start : start + 20] = 0
    assert decode(soft[None]) == [mark]


def test_noise_alone_fails_the_check() -> None:
    """By chance 1 in 65,536 passes: of these, which the seed fixes, none does."""
    soft = np.random.default_rng(1).normal(size=(400, CODED_BITS)).astype(np.float32)
    assert decode(soft) == [None] * 400


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 100_000), st.integers(0, 300_000), st.integers(0, 2**32 - 1))
def test_an_issued_mark_is_told_where_it_can_hardly_be_decoded(mark: int, more: int, seed: int) -> None:
    noise = np.random.default_rng(seed).normal(scale=1.2, size=CODED_BITS).astype(np.float32)
    [(best, second)] = most_likely((encode(mark) + noise)[None], mark + more)
    assert best == mark
    assert second not in (None, mark)


@pytest.mark.parametrize("issued", [2, 4095, 4096, 70_000])
def test_none_is_told_that_was_not_issued(issued: int) -> None:
    beyond = np.array([encode(0), encode(issued + 1), -encode(1)], np.float32)
    for best, second in most_likely(beyond, issued):
        assert second is not None
        assert 1 <= best <= issued
        assert 1 <= second <= issued


def test_the_two_best_in_order() -> None:
    soft = encode(300_000) * np.float32(2) + encode(5)
    assert most_likely(soft[None], 400_000) == [(300_000, 5)]
    assert most_likely(soft[None], 1) == [(1, None)]


def test_silence_is_no_mark() -> None:
    assert decode(np.zeros((1, CODED_BITS), np.float32)) == [None]


@pytest.mark.parametrize("mark", [-1, 2**48])
def test_a_mark_that_does_not_fit(mark: int) -> None:
    with pytest.raises(ValueError, match=rf"at most 48 bits, but is {mark}"):
        encode(mark)


def test_marks_differ_in_many_bits() -> None:
    assert np.count_nonzero(encode(1) != encode(2)) >= 24
