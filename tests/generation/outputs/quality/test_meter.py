"""What is measured in clips, and what it is taken for: each way to break is seen, and what is good passes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from generation.engines.base import EngineRequest
from generation.engines.preview.engine import prepare, render
from generation.engines.preview.picture import open_picture
from generation.outputs.quality import asks_for_motion, judge
from generation.outputs.quality.meter import Meter
from tests.generation.engines.pictures import PHOTOGRAPH, save
from tests.generation.outputs.quality.clips import FPS, HEIGHT, WIDTH, Frames, measured, pan


def other(frames: Frames) -> Frames:
    return np.ascontiguousarray(255 - frames[:, ::-1, ::-1, [1, 2, 0]])


def noise(frames: Frames) -> Frames:
    return np.random.default_rng(1).integers(0, 256, frames.shape, np.uint8)


def frozen_at(frames: Frames, at: int) -> Frames:
    return np.concatenate([frames[: at + 1], np.repeat(frames[at : at + 1], len(frames) - at - 1, axis=0)])


def dimmed(frames: Frames, share: float) -> Frames:
    """Black from there on."""
    broken = frames.copy()
    broken[round(share * len(frames)) :] = 0
    return broken


def flickering(frames: Frames) -> Frames:
    gain = np.where(np.arange(len(frames)) % 2, 1.2, 0.8)[:, None, None, None]
    return np.clip(frames * gain, 0, 255).astype(np.uint8)


def half_decoded(frames: Frames) -> Frames:
    broken = frames.copy()
    broken[:, HEIGHT * 2 // 5 :] = 128
    return broken


BREAKS: list[tuple[str, str, Callable[[Frames], Frames]]] = [
    ("broken", "black", np.zeros_like),
    ("broken", "black", lambda frames: dimmed(frames, 0.3)),
    ("doubtful", "partly_black", lambda frames: dimmed(frames, 0.7)),
    ("broken", "flat", lambda frames: np.full_like(frames, 127)),
    ("broken", "striped", lambda frames: np.broadcast_to(frames[:, :, :1], frames.shape).copy()),
    ("broken", "striped", lambda frames: np.broadcast_to(frames[:, :1], frames.shape).copy()),
    ("broken", "frozen", lambda frames: frozen_at(frames, 0)),
    ("broken", "frozen", lambda frames: frozen_at(frames, 1)),
    ("doubtful", "stands_still", lambda frames: frozen_at(frames, 8)),
    ("doubtful", "flickers", flickering),
    ("doubtful", "incoherent", noise),
    ("doubtful", "cut", lambda frames: np.concatenate([frames[:9], other(frames)[9:]])),
    ("doubtful", "unlike_first_picture", other),
    ("doubtful", "blank_area", half_decoded),
]


@pytest.mark.parametrize(("verdict", "code", "broken"), BREAKS)
def test_each_way_to_break_is_seen(
    tmp_path: Path, verdict: str, code: str, broken: Callable[[Frames], Frames]
) -> None:
    frames = pan()
    found = judge(measured(broken(frames), save(frames[0], tmp_path / "picture.png")), moves=True)
    assert found.verdict == verdict, found
    assert code in found.codes


def test_a_good_clip_has_no_problem(tmp_path: Path) -> None:
    frames = pan()
    facts = measured(frames, save(frames[0], tmp_path / "first.png"), save(frames[-1], tmp_path / "last.png"))
    assert judge(facts, moves=True).codes == ()
    assert (facts.frames, facts.seconds, facts.still, facts.cuts) == (18, 1.5, 0, 0)
    assert facts.dynamic_degree == pytest.approx(100 * FPS / WIDTH, rel=0.25)  # a pixel a frame
    for figure in (facts.first_frame, facts.last_frame, facts.coherence, facts.smoothness):
        assert figure is not None
        assert figure > 0.95


def test_a_clip_that_ends_on_another_picture_is_doubtful(tmp_path: Path) -> None:
    frames = pan()
    last = save(other(frames)[0], tmp_path / "last.png")
    assert judge(measured(frames, last=last), moves=True).codes == ("unlike_last_picture",)


@pytest.mark.parametrize("prompt", ["", "pull out", "dolly zoom", "handheld", "static shot", "locked off camera"])
def test_camera_moves_of_the_preview_engine_are_good(prompt: str) -> None:
    request = EngineRequest("i2v", prompt, 240, 136, frames=24, fps=12, seed=7, image=PHOTOGRAPH)
    meter = Meter(240, 136, 12)
    for frame in render(prepare(request, open_picture(PHOTOGRAPH, 240, 136))):
        meter.see(frame)
    assert judge(meter.result(first=PHOTOGRAPH), moves=asks_for_motion(prompt)).codes == ()


def test_what_the_picture_has_is_no_fault_of_the_clip(tmp_path: Path) -> None:
    """A camera may move over a black picture, or a white one, for all that anybody sees."""
    for level in (0, 255):
        frames = np.full((12, HEIGHT, WIDTH, 3), level, np.uint8)
        picture = save(frames[0], tmp_path / f"{level}.png")
        assert judge(measured(frames, picture), moves=True).codes == ()
        assert judge(measured(frames), moves=True).verdict == "broken"


def test_a_clip_that_was_not_to_move_may_stand_still() -> None:
    frames = frozen_at(pan(), 0)
    assert judge(measured(frames), moves=True).codes == ("frozen",)
    assert judge(measured(frames), moves=False).codes == ()


def test_what_a_model_is_excused_of_is_no_problem() -> None:
    found = measured(np.zeros_like(pan()))
    assert judge(found, moves=True, ignore=["black", "frozen"]).codes == ()


def test_a_frame_of_more_pixels_is_framed_as_the_engine_does(tmp_path: Path) -> None:
    """The engine makes more than is delivered; what is cropped off must not count."""
    frames = pan()
    whole = np.random.default_rng(1).integers(0, 256, (HEIGHT + 32, WIDTH + 16, 3), np.uint8)
    whole[16:-16, 8:-8] = frames[0]
    meter = Meter(WIDTH, HEIGHT, FPS)
    for frame in frames:
        meter.see(frame)
    found = meter.result(first=save(whole, tmp_path / "whole.png"), made=(WIDTH + 16, HEIGHT + 32))
    assert found.first_frame == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_clips_of_hardly_any_frames_are_measured(count: int) -> None:
    found = measured(pan()[:count])
    assert found.frames == count
    assert (found.coherence is None) == (count < 3)
    assert judge(found, moves=True).verdict == "good"


@pytest.mark.parametrize("size", [(16, 16), (400, 24), (720, 1280)])
def test_every_size_is_measured(size: tuple[int, int]) -> None:
    width, height = size
    frames = np.random.default_rng(1).integers(0, 256, (4, height, width, 3), np.uint8)
    meter = Meter(width, height, 4)
    for frame in frames:
        meter.see(frame)
    assert meter.result().frames == 4


def test_a_frame_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must be uint8 of shape \(96, 160, 3\), but is uint8 of \(96, 96, 3\)"):
        Meter(WIDTH, HEIGHT, FPS).see(np.zeros((96, 96, 3), np.uint8))
    with pytest.raises(ValueError, match="there must be a frame"):
        Meter(WIDTH, HEIGHT, FPS).result()


@pytest.mark.parametrize(
    ("prompt", "moves"),
    [
        ("", True),
        ("a horse gallops over the beach", True),
        ("slow push in", True),
        ("static shot, then pan left", True),
        ("locked off camera", False),
        ("Static shot of a street", False),
        ("a statue, motionless", False),
        ("freeze-frame of a dancer", False),
        ("she stands still, the camera orbits", True),
    ],
)
def test_prompts_that_ask_for_motion(prompt: str, moves: bool) -> None:
    assert asks_for_motion(prompt) == moves
