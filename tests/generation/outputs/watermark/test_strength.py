"""How strongly a mark is laid on: by what a real encoder leaves of it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from generation.outputs.watermark.code import encode
from generation.outputs.watermark.embedding import FALL_COARSE, FALL_FINE
from generation.outputs.watermark.pattern import tile_of, waves_of
from generation.outputs.watermark.strength import CLEAR, COARSE, CRF, FINE, MOST, Judge, Strength
from generation.outputs.watermark.trial import AHEAD, first_key_frame
from tests.generation.outputs.watermark.clips import KEY, MARK, frames

WIDTH, HEIGHT = 640, 360  # where a cell is a pixel
FINE_WAVES, COARSE_WAVES = (
    np.tile(tile_of(waves_of(KEY), encode(MARK), fall=fall), (3, 5))[:HEIGHT] for fall in (FALL_FINE, FALL_COARSE)
)


def change(strength: Strength) -> NDArray[np.int16]:
    return np.rint((COARSE_WAVES if strength.coarse else FINE_WAVES) * 2 * strength.gain).astype(np.int16)


def judge() -> Judge:
    return Judge(WIDTH, HEIGHT, waves_of(KEY), encode(MARK))


def photograph() -> list[NDArray[np.uint8]]:
    return [
        np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8) for frame in frames(WIDTH, HEIGHT, AHEAD + 1)
    ]


def heard(shown: list[NDArray[np.uint8]], added: NDArray[np.int16]) -> float:
    marked = [np.asarray(cv2.add(frame, added, dtype=cv2.CV_8U), np.uint8) for frame in shown]
    return judge().clarity(first_key_frame(marked, CRF))


def crowded() -> list[NDArray[np.uint8]]:
    """A page of text, whose strokes drown most of the pattern."""
    page = np.full((HEIGHT, WIDTH), 236, np.uint8)
    for line in range(14, HEIGHT, 16):
        cv2.putText(page, "frame after frame of letters " * 3, (0, line), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 20, 1)
    return [page]


def test_a_picture_that_drowns_the_mark_gets_more_of_it() -> None:
    calm, busy = (judge().least(shown, change) for shown in (photograph(), crowded()))
    assert calm.step < busy.step
    assert [calm.coarse, busy.coarse] == [False, False]


def test_the_least_that_is_clear_is_taken() -> None:
    found = judge().least(photograph(), change)
    assert 0 < found.step < MOST
    assert heard(photograph(), change(found)) >= CLEAR
    assert heard(photograph(), change(found.at(0))) < CLEAR


def test_a_flat_picture_gets_coarse_waves() -> None:
    """Fine ones that are faint are gone at CRF 33 there, however many."""
    flat = [np.full((HEIGHT, WIDTH), 128, np.uint8)] * (AHEAD + 1)

    def faint(strength: Strength) -> NDArray[np.int16]:
        dither = np.random.default_rng(1).uniform(-0.5, 0.5, (HEIGHT, WIDTH))
        pattern = COARSE_WAVES if strength.coarse else FINE_WAVES
        return np.rint(pattern * 1.15 * strength.gain + dither).astype(np.int16)

    found = judge().least(flat, faint)
    assert found.coarse
    assert heard(flat, faint(found)) >= CLEAR
    assert heard(flat, faint(FINE)) < CLEAR


def test_where_no_mark_would_be_clear_the_most_is_taken() -> None:
    assert judge().least(photograph(), lambda _: np.zeros((HEIGHT, WIDTH), np.int16)) == COARSE


def test_where_a_picture_goes_on_the_strength_changes_by_two_steps_at_most() -> None:
    found = judge().least(photograph(), change)
    assert 3 <= found.step <= MOST - 3
    for start, expected in ((0, 2), (MOST, MOST - 2)):
        assert judge().least(photograph(), change, near=found.at(start)).step == expected
    assert abs(judge().least(photograph(), change, near=found).step - found.step) <= 1


def test_where_the_most_does_no_longer_do_the_search_begins_anew() -> None:
    nothing = judge().least(photograph(), lambda _: np.zeros((HEIGHT, WIDTH), np.int16), FINE)
    assert nothing == COARSE


def test_frames_without_room_for_a_clear_mark_get_the_most() -> None:
    tiny = Judge(256, 144, waves_of(KEY), encode(MARK))
    assert tiny.least([np.zeros((144, 256), np.uint8)], lambda _: pytest.fail("it is not tried")) == FINE


def test_a_trial_shows_what_compression_leaves() -> None:
    shown = photograph()
    hard, soft = (first_key_frame(shown, crf) for crf in (40, 10))
    assert hard.shape == soft.shape == (HEIGHT, WIDTH)
    lost_hard, lost_soft = (float(np.abs(seen.astype(int) - shown[0]).mean()) for seen in (hard, soft))
    assert 0 < lost_soft < lost_hard
    assert (first_key_frame(shown, 40) == hard).all(), "the same frames give the same picture"


def test_a_trial_looks_no_further_ahead() -> None:
    """What `AHEAD` rests on: held back are as many frames as change the first, and no more."""
    moving = [
        np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8) for frame in frames(WIDTH, HEIGHT, AHEAD + 8)
    ]
    enough = first_key_frame(moving[: AHEAD + 1], 33)
    assert (first_key_frame(moving, 33) == enough).all()
    assert (first_key_frame(moving[:2], 33) != enough).any()


def test_a_trial_that_fails_says_why() -> None:
    with pytest.raises(RuntimeError, match="ffmpeg could not try how a frame is compressed: "):
        first_key_frame([np.zeros((0, 10), np.uint8)], 33)
