"""The preview engine's camera path: eased, smooth, bounded; only what is the seed's choice is its choice."""

from __future__ import annotations

import numpy as np
import pytest

from generation.engines.preview.moves import read_shot
from generation.engines.preview.path import DEEPEST_PUSH, Path, Room, ease, plan_path

ROOM = Room(1.0, 0.5625)

PROMPTS = [
    "push in",
    "fast pan left",
    "very fast orbit right",
    "push in, then pan right",
    "pan left, then right, then tilt up",
    "handheld push in",
    "slow crane up while zooming out",
    "dolly zoom",
    "static",
    "",
]


def path_for(prompt: str, frames: int = 97, fps: int = 24, seed: int = 7) -> Path:
    return plan_path(read_shot(prompt), frames, fps, seed, ROOM)


def tracks(path: Path) -> dict[str, np.ndarray]:
    return {name: getattr(path, name) for name in Path.__dataclass_fields__}


def test_easing_rests_at_both_ends_and_never_goes_back() -> None:
    t = np.linspace(0.0, 1.0, 100_001)
    position = ease(t)
    speed = np.gradient(position, t)
    acceleration = np.gradient(speed, t)
    assert position[0] == 0.0
    assert position[-1] == pytest.approx(1.0)
    assert speed.min() > -1e-9
    assert speed[[0, -1]] == pytest.approx(0.0, abs=1e-3)
    assert acceleration[[1, -2]] == pytest.approx(0.0, abs=1e-2)
    assert np.abs(np.gradient(acceleration, t)[2:-2]).max() < 80
    assert ease(np.array([-1.0, 2.0])) == pytest.approx([0.0, 1.0])


@pytest.mark.parametrize("prompt", PROMPTS)
def test_speed_never_jumps(prompt: str) -> None:
    """At four times the frame rate the jerk stays the same; a jump in speed would multiply it."""

    def worst_jerk(fps: int) -> dict[str, float]:
        path = path_for(prompt, frames=4 * fps + 1, fps=fps)
        return {name: np.abs(np.diff(track, 3)).max() * fps**3 for name, track in tracks(path).items()}

    coarse, fine = worst_jerk(48), worst_jerk(192)
    for name, jerk in coarse.items():
        assert fine[name] <= 1.3 * jerk + 1e-6, name


@pytest.mark.parametrize("prompt", ["push in", "fast pan left", "orbit right", "", "push in, then pan right"])
def test_the_camera_starts_and_stops_gently(prompt: str) -> None:
    for name, track in tracks(path_for(prompt)).items():
        steps = np.abs(np.diff(track))
        assert max(steps[0], steps[-1]) <= 0.02 * np.ptp(track) + 1e-12, name


@pytest.mark.parametrize("prompt", ["push in", "pan left", "pull out, then tilt up", "dolly zoom"])
def test_the_seed_never_changes_an_asked_move(prompt: str) -> None:
    one, other = tracks(path_for(prompt, seed=1)), tracks(path_for(prompt, seed=2))
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_the_seed_chooses_where_a_drift_goes() -> None:
    ends = [(path.x[-1], path.y[-1]) for path in (path_for("", seed=seed) for seed in range(6))]
    headings = np.unwrap([np.arctan2(y, x) for x, y in ends])
    assert np.ptp(headings) > 1.0
    assert [np.hypot(x, y) for x, y in ends] == pytest.approx([np.hypot(*ends[0])] * 6)


def test_handheld_trembles_within_two_hertz() -> None:
    path = path_for("handheld", frames=960)
    spectrum = np.abs(np.fft.rfft(path.yaw * np.hanning(960))) ** 2
    hertz = np.fft.rfftfreq(960, 1 / 24)
    assert spectrum[hertz > 3].sum() < 1e-3 * spectrum.sum()
    assert spectrum[hertz > 0.5].sum() > 1e-2 * spectrum.sum()
    assert path.yaw[0] == path.x[0] == 0.0


def test_speed_words_order_the_amounts() -> None:
    reach = [path_for(f"{speed} pan right").yaw[-1] for speed in ("very slow", "slow", "", "fast", "very fast")]
    assert reach == sorted(reach)
    assert reach[0] < 0.6 * reach[2] < reach[2] < 0.7 * reach[4]


def test_a_longer_clip_goes_further_but_not_in_proportion() -> None:
    two, ten = (path_for("pan right", frames=24 * seconds).yaw[-1] for seconds in (2, 10))
    assert 1.3 * two < ten < 3 * two


@pytest.mark.parametrize("fps", [24, 25, 30])
def test_the_frame_rate_does_not_change_the_shot(fps: int) -> None:
    path = path_for("handheld pan right", frames=4 * fps, fps=fps)
    reference = path_for("handheld pan right", frames=96, fps=24)
    assert path.yaw[2 * fps] == pytest.approx(reference.yaw[48], rel=0.02)


def test_a_pull_out_ends_on_the_photograph_and_a_push_starts_on_it() -> None:
    out, into = path_for("pull out"), path_for("push in")
    assert out.z[-1] == into.z[0] == 0.0
    assert out.z[0] == pytest.approx(into.z[-1])
    assert path_for("zoom out").log_zoom[-1] == 0.0


def test_the_camera_never_runs_into_the_subject() -> None:
    path = path_for("very fast push in, then very fast push in", frames=300, fps=30)
    assert path.depth.max() <= DEEPEST_PUSH


def test_what_the_picture_has_beside_the_frame_is_used() -> None:
    shot = read_shot("pan left")
    roomy = plan_path(shot, 24, 24, 0, Room(1.0, 0.5625, left=0.4))
    wrong_side = plan_path(shot, 24, 24, 0, Room(1.0, 0.5625, right=0.4))
    plain = plan_path(shot, 24, 24, 0, ROOM)
    assert roomy.yaw[-1] < 1.5 * plain.yaw[-1]
    assert wrong_side.yaw[-1] == plain.yaw[-1]


def test_one_frame_is_the_start() -> None:
    assert path_for("fast push in and pan left", frames=1).z == pytest.approx([0.0])
