"""`manage.py quality`: one clip, and two sets of clips side by side."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from tests.generation.engines.pictures import save
from tests.generation.outputs.quality.clips import encoded, pan


def run(*arguments: object, **options: Any) -> str:
    out = StringIO()
    call_command("quality", *map(str, arguments), stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def sets(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Four clips each: A's are clean, B's flicker and are noisy. And the pictures they were made from."""
    folders = tuple(tmp_path / name for name in ("A", "B", "pictures"))
    for folder in folders:
        folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(4):
        frames = pan(15, step=1 + number % 2)[:, :, ::-1] if number > 1 else pan(15, step=1 + number % 2)
        grain = rng.normal(0, 25, frames.shape) + rng.normal(0, 12, (len(frames), 1, 1, 1))
        spoiled = np.clip(frames + grain, 0, 255).astype(np.uint8)
        encoded(frames, folders[0] / f"{number}.mp4")
        encoded(spoiled, folders[1] / f"{number}.mp4")
        save(frames[0], folders[2] / f"{number}.png")
    (folders[0] / "alone.mp4").write_bytes(b"")
    (folders[0] / "notes.txt").write_text("not a clip")
    return folders[0], folders[1], folders[2]


def test_a_clip_is_measured(tmp_path: Path) -> None:
    frames = pan()
    clip, picture = encoded(frames, tmp_path / "clip.mp4"), save(frames[0], tmp_path / "picture.png")
    said = run("measure", clip, "--picture", picture)
    assert said.splitlines()[-1] == "good"
    assert "first_frame" in said
    last = save(frames[-1], tmp_path / "last.png")
    found = json.loads(run("measure", clip, "--picture", picture, "--last-picture", last, "--json"))
    assert (found["verdict"], found["problems"], found["figures"]["frames"]) == ("good", [], 18)
    assert found["figures"]["first_frame"] > 0.95


def test_a_broken_clip_is_told_to_be(tmp_path: Path) -> None:
    clip = encoded(np.zeros_like(pan()), tmp_path / "clip.mp4")
    assert run("measure", clip).splitlines()[-1] == "broken: the clip is black for the most part"
    still = encoded(np.repeat(pan()[:1], 18, axis=0), tmp_path / "still.mp4")
    assert run("measure", still).splitlines()[-1] == "broken: the clip does not move, although it was to"
    assert run("measure", still, "--prompt", "locked off camera").splitlines()[-1] == "good"


def test_two_sets_are_compared(sets: tuple[Path, Path, Path]) -> None:
    a, b, pictures = sets
    found = json.loads(run("compare", a, b, "--pictures", pictures, "--json"))
    assert found["pairs"] == 4
    rows = {row["figure"]: row for row in found["figures"]}
    assert set(rows) >= {"coherence", "flicker", "dynamic_degree", "first_frame", "identity", "sharpness"}
    for figure in ("flicker", "smoothness", "first_frame"):
        assert rows[figure]["better"] == "A", rows[figure]
    assert rows["flicker"]["low"] > 0
    assert rows["flicker"]["low"] <= rows["flicker"]["difference"] <= rows["flicker"]["high"]
    assert rows["dynamic_degree"]["better"] == ""
    assert json.loads(run("compare", b, a, "--json"))["better"]["B"] >= 2  # the other way round
    said = run("compare", a, b)
    assert said.startswith(f"4 pairs; A is {a}, B is {b}")
    assert "first-frame" not in said  # without pictures there is nothing to hold it against
    assert "B in" in said


def test_a_set_is_not_better_than_itself(sets: tuple[Path, Path, Path]) -> None:
    found = json.loads(run("compare", sets[1], sets[1], "--json"))
    assert found["better"] == {"A": 0, "B": 0}
    assert {row["difference"] for row in found["figures"]} == {0.0}


def test_what_cannot_be_measured_is_refused(sets: tuple[Path, Path, Path], tmp_path: Path) -> None:
    a, _, pictures = sets
    with pytest.raises(CommandError, match="there is no file"):
        run("measure", tmp_path / "nothing.mp4")
    with pytest.raises(CommandError, match="damaged or cut short"):
        run("measure", a / "alone.mp4")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes((a / "0.mp4").read_bytes()[:-2000])
    with pytest.raises(CommandError, match="damaged or cut short"):
        run("measure", cut)
    with pytest.raises(CommandError, match="must be a readable picture file"):
        run("measure", a / "0.mp4", "--picture", a / "notes.txt")
    with pytest.raises(CommandError, match="must have clips of the same names"):
        run("compare", a, pictures)
    with pytest.raises(CommandError, match="No such file"):
        run("compare", a, tmp_path / "nowhere")
