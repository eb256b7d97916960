"""The preview engine's pictures: what moves, what stays, and that no edge, fold or flicker is ever seen."""

from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from generation.engines.base import EngineError, EngineRequest
from generation.engines.preview.camera import MAX_PRE_ZOOM, Rectangle, Scene, View, relief_for
from generation.engines.preview.depth import estimate_disparity
from generation.engines.preview.engine import Take, plate_map, prepare, render
from generation.engines.preview.moves import read_shot
from generation.engines.preview.path import Room, plan_path
from generation.engines.preview.picture import open_picture
from tests.generation.engines.pictures import (
    PHOTOGRAPH,
    Picture,
    request_for,
    save,
    texture,
    textured_subject,
)

MOVES = [
    "push in", "pull out", "zoom in", "zoom out", "pan left", "pan right", "tilt up", "tilt down",
    "truck left", "roll clockwise", "pedestal down", "crane up", "crane down", "orbit left", "orbit right",
    "dolly zoom", "dolly in while zooming out", "handheld", "static", "locked-off shot", "",
    "push in, then pan right", "pull out while panning left", "roll left and orbit right",
]  # fmt: skip
SHAPES = {"16:9": (320, 180), "9:16": (180, 320), "1:1": (240, 240), "4:3": (320, 240)}
PICTURES = [(600, 400), (64, 64), (90, 500), (900, 120), (160, 90)]


def take_of(picture: Picture, prompt: str, **changes: object) -> Take:
    return prepare(request_for(None, prompt, **changes), picture)


def clip(picture: Picture, prompt: str, **changes: object) -> list[Picture]:
    return [frame.copy() for frame in render(take_of(picture, prompt, **changes))]


def grey(picture: Picture) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)


def shift(before: Picture, after: Picture) -> tuple[float, float]:
    """By how many pixels the content went right and down, by phase correlation."""
    size = (before.shape[1], before.shape[0])
    (x, y), _ = cv2.phaseCorrelate(grey(before), grey(after), cv2.createHanningWindow(size, cv2.CV_32F))
    return x, y


def small_step(before: Picture, after: Picture) -> float:
    """By how many pixels the content went right, from its slopes: good to a hundredth."""
    one, other = grey(before), grey(after)
    slope = np.gradient((one + other) / 2, axis=1)
    return float(-np.sum(slope * (other - one)) / np.sum(slope * slope))


def psnr(one: Picture, other: Picture) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(np.float64) - other) ** 2)))


def enlargement(take: Take, at: int, row: int, column: int) -> float:
    """How many pixels of frame `at` a pixel of the plate covers around a place."""
    columns, _ = plate_map(take, at)
    return float(8 / (columns[row, column + 4] - columns[row, column - 4]))


# --- No edge, no fold, no flicker ---


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("speed", ["", "very fast"])
def test_no_frame_looks_beyond_the_picture(shape: str, speed: str) -> None:
    width, height = SHAPES[shape]
    for at, move in enumerate(MOVES):
        picture = texture(*PICTURES[at % len(PICTURES)])
        take = take_of(picture, f"{speed} {move}".strip(), width=width, height=height, frames=25, fps=6)
        rows, columns = take.plate.shape[:2]
        for frame in range(0, 25, 4):
            x, y = plate_map(take, frame)
            assert x.min() >= 0, move
            assert y.min() >= 0, move
            assert x.max() <= columns - 1, move
            assert y.max() <= rows - 1, move
        assert 1.0 <= take.pre_zoom <= MAX_PRE_ZOOM * 1.02, move


@pytest.mark.parametrize(
    "prompt", ["very fast push in", "very fast orbit left", "very fast crane up", "dolly zoom"]
)
def test_even_a_jagged_relief_never_folds(prompt: str) -> None:
    """The determinant of the map from frame to picture stays positive: no place is shown inside out."""
    jagged = np.where(np.indices((54, 96)).sum(axis=0) // 6 % 2 == 0, 0.4, 1.3).astype(np.float32)
    view = View(320, 180, 320.0)
    path = plan_path(read_shot(prompt), 24, 6, 0, Room(*view.extent))
    bounds = Rectangle(-0.5, -0.28125, 0.5, 0.28125)
    flat = relief_for(Scene(jagged, bounds), path, view)
    blank = np.zeros((90, 160, 4), np.uint8)
    take = Take(read_shot(prompt), path, flat, view, 1.0, blank, bounds)
    x, y = plate_map(take, 23)
    determinant = np.gradient(x, axis=1) * np.gradient(y, axis=0) - np.gradient(x, axis=0) * np.gradient(y, axis=1)
    assert determinant.min() > 0.05 * np.median(determinant)
    assert np.ptp(flat.disparity) < 0.5 * np.ptp(jagged), "such a relief has to be flattened"


def test_a_gentle_relief_is_left_as_it_is() -> None:
    picture = open_picture(PHOTOGRAPH, 320, 180)
    assert np.array_equal(take_of(picture, "push in", frames=96).scene.disparity, estimate_disparity(picture))


def test_a_pan_is_as_smooth_as_the_path() -> None:
    frames = clip(texture(480, 270), "pan right", width=480, height=270, frames=48)
    steps = np.array([small_step(before, after) for before, after in itertools.pairwise(frames)])
    assert steps.min() < -0.5, "it must move at all"
    assert np.abs(steps[[0, -1]]).max() < 0.05
    assert np.abs(np.diff(steps)).max() < 0.12
    assert np.abs(np.diff(steps, 2)).max() < 0.02, "no stutter from frame to frame"


def test_detail_too_fine_for_the_frame_does_not_flicker() -> None:
    stripes = (127 + 90 * np.sin(np.indices((1080, 1920)).sum(axis=0) * 1.8)).astype(np.uint8)
    frames = clip(np.repeat(stripes[..., None], 3, axis=2), "slow pan right", width=480, height=270, frames=9)
    assert np.std(frames, axis=0).mean() < 1.0
    assert frames[0].std() < 3.0


# --- Depth ---


def test_a_push_enlarges_the_subject_more_than_the_backdrop_and_a_zoom_does_not() -> None:
    picture = textured_subject(480, 270)
    growth = {}
    for prompt in ("push in", "zoom in"):
        take = take_of(picture, prompt, width=480, height=270, frames=24)
        near, far = (enlargement(take, 23, row, 240) / enlargement(take, 0, row, 240) for row in (135, 12))
        growth[prompt] = near / far
    assert growth["zoom in"] == pytest.approx(1.0, abs=0.002)
    assert growth["push in"] > 1.05


def test_near_moves_more_than_far_when_the_camera_travels_but_not_when_it_turns() -> None:
    picture = textured_subject(480, 270)
    travels = {}
    for prompt in ("truck right", "pan right"):
        frames = clip(picture, prompt, width=480, height=270, frames=24)
        middle, top = (slice(95, 175), slice(190, 290)), (slice(4, 44), slice(60, 420))
        travels[prompt] = (
            shift(frames[0][middle], frames[10][middle])[0],
            shift(frames[0][top], frames[10][top])[0],
        )
    near, far = travels["truck right"]
    assert near < 1.3 * far < 0, "both go left, the near one faster"
    near, far = travels["pan right"]
    assert near == pytest.approx(far, abs=0.6)


def test_a_dolly_zoom_keeps_the_subject_and_enlarges_the_backdrop() -> None:
    take = take_of(textured_subject(480, 270), "dolly zoom", width=480, height=270, frames=24)
    near, far = (enlargement(take, 23, row, 240) / enlargement(take, 0, row, 240) for row in (135, 12))
    assert near == pytest.approx(1.0, abs=0.02)
    assert far > 1.06


def test_an_orbit_turns_around_the_subject() -> None:
    frames = clip(textured_subject(480, 270), "orbit right", width=480, height=270, frames=24)
    middle, top = (slice(95, 175), slice(190, 290)), (slice(4, 44), slice(60, 420))
    assert shift(frames[0][middle], frames[10][middle])[0] == pytest.approx(0.0, abs=1.0)
    assert shift(frames[0][top], frames[10][top])[0] > 2.0


def test_the_subject_of_the_photograph_stands_in_front() -> None:
    disparity = estimate_disparity(open_picture(PHOTOGRAPH, 600, 400))
    rows, columns = disparity.shape
    cup = disparity[rows * 2 // 10 : rows * 6 // 10, columns * 4 // 10 : columns * 6 // 10].mean()
    corners = (disparity[: rows // 8, : columns // 8].mean() + disparity[: rows // 8, -columns // 8 :].mean()) / 2
    assert cup > corners + 0.3


def test_a_head_on_shoulders_is_one_piece() -> None:
    """A face that is as pale as the wall, under dark hair, must not be left behind by the hair."""
    portrait = np.full((320, 200, 3), (200, 190, 170), np.uint8)
    cv2.ellipse(portrait, (100, 320), (85, 115), 0, 0, 360, (40, 50, 110), -1)
    cv2.rectangle(portrait, (85, 170), (115, 220), (215, 160, 130), -1)
    cv2.ellipse(portrait, (100, 135), (40, 55), 0, 0, 360, (225, 175, 145), -1)
    cv2.ellipse(portrait, (100, 105), (44, 38), 0, 180, 360, (60, 40, 30), -1)
    disparity = cv2.resize(estimate_disparity(portrait), (200, 320))
    face, shoulders, wall = disparity[85:185, 75:125], disparity[240, 45:155], disparity[20:90, 5:25]
    assert np.ptp(face) < 0.12
    assert np.ptp(shoulders) < 0.025, "the lower edge of the picture must not make them backdrop"
    assert face.min() > wall.max() + 0.25


@pytest.mark.parametrize("picture", [np.full((90, 160, 3), 255, np.uint8), np.zeros((64, 64, 3), np.uint8)])
def test_a_blank_picture_has_a_calm_relief(picture: Picture) -> None:
    disparity = estimate_disparity(picture)
    assert np.isfinite(disparity).all()
    assert np.abs(np.diff(disparity, axis=1)).max() < 1e-3


# --- Which way ---


@pytest.mark.parametrize(
    ("prompt", "axis", "sign"),
    [
        ("pan right", 0, -1), ("pan left", 0, 1), ("truck right", 0, -1), ("truck left", 0, 1),
        ("tilt up", 1, 1), ("tilt down", 1, -1), ("pedestal up", 1, 1), ("crane down", 1, -1),
    ],
)  # fmt: skip
def test_the_content_goes_the_other_way(prompt: str, axis: int, sign: int) -> None:
    frames = clip(texture(320, 180), prompt, width=320, height=180, frames=24)
    moved = shift(frames[0], frames[9])
    assert sign * moved[axis] > 1.0
    assert abs(moved[1 - axis]) < 0.5


@pytest.mark.parametrize(("prompt", "sign"), [("roll clockwise", -1), ("roll counterclockwise", 1)])
def test_a_rolling_camera_turns_the_picture_the_other_way(prompt: str, sign: int) -> None:
    frames = clip(texture(320, 180), prompt, width=320, height=180, frames=24)
    right_side = (slice(50, 130), slice(220, 300))
    assert sign * shift(frames[0][right_side], frames[10][right_side])[1] > 1.0


def test_a_locked_camera_does_not_move_a_pixel() -> None:
    frames = clip(texture(160, 90), "no camera movement")
    assert all(np.array_equal(frame, frames[0]) for frame in frames)


def test_a_static_camera_breathes_less_than_the_default_drifts() -> None:
    static, default = (take_of(texture(160, 90), prompt, frames=96).path for prompt in ("static", "no zoom"))
    assert 0 < np.hypot(static.x[-1], static.y[-1]) < 0.5 * np.hypot(default.x[-1], default.y[-1])


# --- The source ---


def test_the_clip_starts_on_the_picture() -> None:
    picture = open_picture(PHOTOGRAPH, 300, 200)
    reference = cv2.resize(picture, (300, 200), interpolation=cv2.INTER_AREA)
    changes = {"width": 300, "height": 200, "frames": 24}
    assert psnr(clip(picture, "push in", **changes)[0], reference) > 33
    assert psnr(clip(picture, "pull out", **changes)[-1], reference) > 33
    take = take_of(picture, "pan left", **changes)
    crop = cv2.getRectSubPix(
        cv2.resize(picture, None, fx=take.pre_zoom / 2, fy=take.pre_zoom / 2, interpolation=cv2.INTER_AREA),
        (300, 200),
        (150 * take.pre_zoom - 0.5, 100 * take.pre_zoom - 0.5),
    )
    assert psnr(next(iter(render(take))), crop) > 28


def test_the_frame_is_cut_around_the_subject() -> None:
    picture = np.full((200, 600, 3), 60, np.uint8)
    cv2.circle(picture, (430, 100), 60, (230, 80, 40), -1)
    frame = clip(picture, "locked-off shot", width=180, height=180)[0]
    red = np.nonzero(frame[..., 0] > 150)[1]
    assert len(red) > 3000
    centred = np.nonzero(picture[:, 200:400, 0] > 150)[1]
    assert len(centred) < 3000, "a cut from the middle would have lost it"


def test_transparent_pictures_are_laid_on_white(tmp_path: Path) -> None:
    picture = np.zeros((64, 64, 4), np.uint8)
    picture[:, 32:] = (200, 0, 0, 255)
    loaded = open_picture(save(picture, tmp_path / "cut-out.png"), 64, 64)
    assert loaded[10, 5].tolist() == [255, 255, 255]
    assert loaded[10, 60].tolist() == [200, 0, 0]


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_huge_picture_is_reduced_while_it_is_read(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"huge.{suffix}"
    Image.new("RGB", (8000, 6250), (10, 120, 200)).save(file)
    picture = open_picture(file, 320, 180)
    assert 640 <= picture.shape[1] <= 1280
    assert np.abs(picture[5, 5].astype(int) - (10, 120, 200)).max() <= 2


def test_a_tiny_picture_fills_a_large_frame() -> None:
    frame = next(iter(render(take_of(texture(64, 64), "push in", width=1920, height=1080, frames=2))))
    assert frame.shape == (1080, 1920, 3)
    assert frame.std() > 5


@pytest.mark.parametrize("size", [(1, 1), (3, 700), (4000, 2)])
def test_odd_sizes_of_picture_are_no_trouble(size: tuple[int, int]) -> None:
    assert len(clip(np.full((size[1], size[0], 3), 90, np.uint8), "push in and pan left")) == 12


def test_refusals_state_rule_and_value(tmp_path: Path) -> None:
    bad = tmp_path / "notes.png"
    bad.write_text("hello")
    with pytest.raises(EngineError, match=r"readable picture file, but notes\.png"):
        open_picture(bad, 64, 64)


# --- Same request, same bytes ---


def digest(request: EngineRequest) -> str:
    assert request.image is not None
    take = prepare(request, open_picture(request.image, request.width, request.height))
    return hashlib.sha256(b"".join(frame.tobytes() for frame in render(take))).hexdigest()


SAME = "handheld orbit left while pushing in, then tilt up"


def test_same_bytes_whatever_the_number_of_threads() -> None:
    request = request_for(PHOTOGRAPH, SAME, width=640, height=360)
    threads = cv2.getNumThreads()
    try:
        digests = set()
        for count in (1, 2, 5):
            cv2.setNumThreads(count)
            digests.add(digest(request))
    finally:
        cv2.setNumThreads(threads)
    assert len(digests) == 1


def test_same_bytes_in_another_process() -> None:
    code = (
        "from tests.generation.engines import test_preview_render as t; "
        "print(t.digest(t.request_for(t.PHOTOGRAPH, t.SAME)))"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(request_for(PHOTOGRAPH, SAME))
