"""Finished clips in other forms: their pictures and their sound, whatever they are like."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from generation.engines.base import EngineError
from generation.outputs.encoding import MASTER, PROFILES, Form, Overlay, Source, Target, check, convert, profile_of
from generation.outputs.encoding.decoding import Decoded
from mutoscope.media import ffmpeg_executable, probe
from tests.generation.outputs.encoding.pictures import SOURCE, made, moving, shown, unpacked
from tests.generation.outputs.encoding.test_sound import clip_with_sound


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clip_with_sound(tmp_path_factory.mktemp("master"), MASTER)


def foreign(target: Path, *arguments: str) -> Path:
    """A clip as others make them."""
    command = [ffmpeg_executable(), "-loglevel", "error", "-f", "lavfi", "-i", *arguments, str(target)]
    subprocess.run(command, check=True)
    return target


def test_a_master_becomes_every_format(master: Path, tmp_path: Path) -> None:
    targets = [Target(tmp_path / f"{slug}.{profile_of(Form(slug)).extension}", Form(slug)) for slug in PROFILES]
    convert(master, targets)
    for target in targets:
        check(target.path, SOURCE, target.form, with_sound=True)


@pytest.mark.parametrize("loop", ["boomerang", "crossfade"])
def test_a_master_becomes_a_loop(master: Path, tmp_path: Path, loop: str) -> None:
    targets = [
        Target(tmp_path / "loop.mp4", Form(loop=loop)),
        Target(tmp_path / "loop.gif", Form("gif", loop=loop)),
    ]
    convert(master, targets)
    for target in targets:
        check(target.path, SOURCE, target.form, with_sound=True)


def test_the_pictures_are_those_of_the_master(tmp_path: Path) -> None:
    master = made(tmp_path / "master.mp4", Form("mp4", "best"))
    convert(master, [Target(tmp_path / "frames.zip", Form("png"))])
    for found, wanted in zip(unpacked(tmp_path / "frames.zip"), moving(), strict=True):
        assert np.abs(found.astype(int) - wanted).mean() < 3


def test_marks_are_drawn_after_scaling(master: Path, tmp_path: Path) -> None:
    Image.new("RGBA", (20, 10), (255, 255, 255, 255)).save(tmp_path / "mark.png")
    corner = (Overlay(tmp_path / "mark.png", "0", "main_h-overlay_h"),)
    forms = {
        "clip.mp4": Form(width=80),
        "clip.mov": Form("prores", "best", width=80),
        "clip.gif": Form("gif", width=80),
    }
    convert(master, [Target(tmp_path / name, form, corner) for name, form in forms.items()])
    for name in forms:
        frame = shown(tmp_path / name, 80, 48)[3]
        assert frame[40:46, 3:17].min() > 225, name
        assert frame[:36].mean() < 200, name


def test_a_mark_moves_with_time(master: Path, tmp_path: Path) -> None:
    Image.new("RGBA", (20, 20), (255, 255, 255, 255)).save(tmp_path / "mark.png")
    drifting = (Overlay(tmp_path / "mark.png", "100*t", "0"),)
    convert(master, [Target(tmp_path / "clip.mp4", MASTER, drifting)])
    found = shown(tmp_path / "clip.mp4", 160, 96)
    for index in (0, 12, 23):
        left = round(100 * index / 24)
        assert found[index][4:16, left + 4 : left + 16].min() > 225


def test_a_rate_that_is_no_whole_number_becomes_one(tmp_path: Path) -> None:
    clip = foreign(tmp_path / "film.mp4", "testsrc2=size=160x96:rate=24000/1001:duration=2", "-pix_fmt", "yuv420p")
    source = Decoded.of(clip).source
    assert (source.fps, source.frames) == (24, 48)
    convert(clip, [Target(tmp_path / "clip.webm", Form("webm"))])
    check(tmp_path / "clip.webm", source, Form("webm"), with_sound=False)


def test_odd_and_deep_clips_are_taken(tmp_path: Path) -> None:
    clip = foreign(tmp_path / "odd.mkv", "testsrc=size=161x97:rate=12:duration=1", "-c:v", "ffv1")
    convert(clip, [Target(tmp_path / "clip.mp4", MASTER), Target(tmp_path / "frames.zip", Form("png"))])
    assert (video := probe(tmp_path / "clip.mp4").video) is not None
    assert (video.width, video.height, video.frames) == (160, 96, 12)
    assert unpacked(tmp_path / "frames.zip")[0].shape == (97, 161, 3)


def test_a_clip_on_its_side_is_turned_upright(tmp_path: Path) -> None:
    flat = foreign(tmp_path / "flat.mp4", "testsrc2=size=160x96:rate=12:duration=1", "-pix_fmt", "yuv420p")
    turned = tmp_path / "turned.mp4"
    command = [ffmpeg_executable(), "-loglevel", "error", "-display_rotation", "90", "-i", str(flat), "-c", "copy"]
    subprocess.run([*command, str(turned)], check=True)
    convert(turned, [Target(tmp_path / "clip.webm", Form("webm"))])
    check(tmp_path / "clip.webm", Source(96, 160, 12, 12), Form("webm"), with_sound=False)


def test_a_damaged_clip_is_told_and_leaves_no_process(master: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    content = bytearray(master.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    broken.write_bytes(content)
    with pytest.raises(EngineError) as caught:
        convert(broken, [Target(tmp_path / "clip.webm", Form("webm"))])
    assert (caught.value.code, caught.value.blame) == ("clip_broken", "ours")
    assert not [child for child in psutil.Process().children() if "ffmpeg" in child.name()]
