"""Loops: the step from the last frame to the first is one like any other, and nothing is lost on the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from generation.engines.base import EngineError
from generation.outputs.encoding import Form, Source, Target, encode, shape_of
from tests.generation.outputs.encoding.pictures import SOURCE, Frame, made, moving, shown, steps, unpacked

NOISE = 0.5
"""Levels of 255 by which a frame that is encoded by itself looks other than one that is encoded after another."""


def looped(folder: Path, loop: str, source: Source = SOURCE, fps: int | None = None) -> list[Frame]:
    return unpacked(made(folder / "loop.zip", Form("png", loop=loop, fps=fps), source))


def test_a_boomerang_goes_there_and_back(tmp_path: Path) -> None:
    whole = list(moving())
    there_and_back = whole + whole[-2:0:-1]
    found = looped(tmp_path, "boomerang")
    assert len(found) == len(there_and_back)
    assert all(np.array_equal(a, b) for a, b in zip(found, there_and_back, strict=True))


def test_a_cross_faded_loop_begins_where_its_end_has_led_to(tmp_path: Path) -> None:
    whole, found = list(moving()), looped(tmp_path, "crossfade")
    assert len(found) == 18  # six of 24 overlap: half a second, but a quarter of the clip at most
    assert all(np.array_equal(frame, whole[index + 6]) for index, frame in enumerate(found[:12]))
    last = found[-1].astype(int)
    assert np.abs(last - whole[5]).mean() < np.abs(last - whole[23]).mean()


@pytest.mark.parametrize("loop", ["boomerang", "crossfade"])
@pytest.mark.parametrize("fps", [None, 60])
def test_the_seam_is_a_step_like_any_other(tmp_path: Path, loop: str, fps: int | None) -> None:
    source = replace(SOURCE, frames=20)
    *within, seam = steps(looped(tmp_path, loop, source, fps))
    assert seam <= max(within) * 1.02
    jump = steps(list(moving(source)))[-1]
    assert seam < jump / 3  # where the clip itself would begin anew


@pytest.mark.parametrize("frames", [31, 32, 33])
def test_at_a_lower_rate_the_seam_leaves_out_no_more_than_others(tmp_path: Path, frames: int) -> None:
    """A boomerang of a light that moves evenly: its steps are two or three frames, at the seam as elsewhere."""
    source = replace(SOURCE, frames=frames)
    *within, seam = steps(looped(tmp_path, "boomerang", source, fps=10))
    assert seam <= max(within) * 1.05


@pytest.mark.parametrize(("format_", "loop"), [("mp4", "boomerang"), ("mp4", "crossfade"), ("gif", "boomerang")])
def test_the_seam_holds_in_what_is_delivered(tmp_path: Path, format_: str, loop: str) -> None:
    form = Form(format_, "best", loop=loop)
    clip = made(tmp_path / f"loop.{format_}", form)
    found = shown(clip, SOURCE.width, SOURCE.height)
    assert len(found) == shape_of(SOURCE, form).frames
    *within, seam = steps(found)
    assert seam <= max(within) + NOISE


def test_a_clip_too_short_for_a_loop_is_refused(tmp_path: Path) -> None:
    source = replace(SOURCE, frames=7)
    with pytest.raises(EngineError, match="a loop needs at least 8 frames, but the clip has 7"):
        encode(moving(source), source, [Target(tmp_path / "loop.mp4", Form(loop="boomerang"))])


def test_frames_wait_on_disk_and_are_gone_afterwards(tmp_path: Path) -> None:
    """Nameless from the beginning: not even a worker that is killed leaves them."""
    seen: list[list[str]] = []

    def frames() -> list[Frame]:
        for frame in moving():
            seen.append([path.name for path in tmp_path.iterdir()])
            yield frame

    encode(frames(), SOURCE, [Target(tmp_path / "loop.mp4", Form(loop="boomerang"))])
    assert {name for names in seen for name in names} <= {"loop.mp4"}
    assert [path.name for path in tmp_path.iterdir()] == ["loop.mp4"]
