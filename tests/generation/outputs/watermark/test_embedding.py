"""What the mark does to frames: always the same, within bounds, and hardly anything."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from generation.outputs.watermark.embedding import Embedder
from generation.outputs.watermark.trial import AHEAD
from tests.generation.outputs.watermark.clips import HEIGHT, KEY, MARK, WIDTH, frames, marked


def flat(level: int) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), level, np.uint8)


def test_the_same_frames_give_the_same_bytes() -> None:
    first, second = ([frame.tobytes() for frame in marked(frames(count=3))] for _ in range(2))
    assert first == second
    assert first[0] != next(marked(frames(), mark=MARK + 1)).tobytes()
    assert first[0] != next(marked(frames(), key=b"another")).tobytes()


def test_the_frame_that_is_given_stays_as_it_is() -> None:
    frame = next(frames())
    before = frame.copy()
    (made,) = Embedder(MARK, WIDTH, HEIGHT, key=KEY).laid_on([frame])
    assert (frame == before).all()
    assert made.shape == frame.shape
    assert made.dtype == np.uint8
    assert made.flags.c_contiguous
    assert (made != frame).any()


@pytest.mark.parametrize("level", [0, 16, 128, 255])
def test_flat_frames_change_by_little_and_never_wrap(level: int) -> None:
    change = next(marked([flat(level)])).astype(int) - level
    assert np.abs(change).max() <= 4
    assert np.sqrt((change**2).mean()) < 1.0


def test_black_stays_black() -> None:
    assert not next(marked([flat(0)])).any()


def test_a_photograph_hardly_changes() -> None:
    frame = next(frames(832, 480))
    error = next(marked([frame])).astype(float) - frame
    assert 10 * np.log10(255**2 / (error**2).mean()) > 42


def test_the_mark_leaves_colours_alone() -> None:
    """Only brightness changes: all three channels by the same, where none of them is at its end."""
    frame = np.clip(next(frames()), 20, 235)
    change = next(marked([frame])).astype(int) - frame
    assert (change[..., 0] == change[..., 1]).all()
    assert (change[..., 0] == change[..., 2]).all()


def test_frames_of_another_size() -> None:
    with pytest.raises(ValueError, match="a frame must be 384 × 512 × 3, but is 10 × 10 × 3"):
        next(Embedder(MARK, WIDTH, HEIGHT, key=KEY).laid_on([np.zeros((10, 10, 3), np.uint8)]))


def test_every_frame_comes_back_in_order_and_no_more_are_held_than_are_needed() -> None:
    asked = 0

    def counted() -> Iterator[np.ndarray]:
        nonlocal asked
        for frame in frames(count=AHEAD + 6):
            asked += 1
            yield frame

    made = Embedder(MARK, WIDTH, HEIGHT, key=KEY).laid_on(counted())
    for index, (frame, found) in enumerate(zip(frames(count=AHEAD + 6), made, strict=True)):
        assert np.abs(found.astype(int) - frame).mean() < 2, index
        assert asked == min(index + AHEAD + 1, AHEAD + 6)


def test_frames_of_an_odd_size_are_marked_as_well() -> None:
    frame = next(frames(513, 385))
    (made,) = marked([frame])
    assert made.shape == (385, 513, 3)
    assert 0 < np.abs(made.astype(int) - frame).mean() < 2


def test_a_new_scene_is_judged_anew() -> None:
    """After a cut from a photograph to a flat ground, frames look as if the clip had begun there."""
    scene = [next(frames())] * 2 + [flat(128)] * 2
    assert (list(marked(scene))[2] == next(marked(scene[2:]))).all()
