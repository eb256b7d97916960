"""Encoding: what goes in comes out, in the form that every player takes, and the same bytes each time."""

from __future__ import annotations

import hashlib
import io
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from PIL import Image

from generation.engines.base import EngineError
from generation.outputs.encode import encode_mp4
from mutoscope.media import ffmpeg_executable, frame_as_png, is_faststart, probe

WIDTH, HEIGHT, FRAMES, FPS = 96, 64, 24, 24
RED, GREEN = (200, 30, 40), (20, 160, 60)


def frames(count: int = FRAMES) -> Iterator[memoryview]:
    """The left half red; the right half green and brighter from frame to frame."""
    for index in range(count):
        image = Image.new("RGB", (WIDTH, HEIGHT), RED)
        image.paste((GREEN[0], GREEN[1] + index, GREEN[2]), (WIDTH // 2, 0, WIDTH, HEIGHT))
        yield memoryview(image.tobytes())


def encode(target: Path, source: Iterator[memoryview] | None = None) -> Path:
    encode_mp4(source or frames(), target, width=WIDTH, height=HEIGHT, fps=FPS)
    return target


def test_a_clip_is_what_every_player_takes(tmp_path: Path) -> None:
    clip = encode(tmp_path / "clip.mp4")
    media = probe(clip, strict=True)
    assert media.video is not None
    assert (media.video.codec, media.video.pix_fmt) == ("h264", "yuv420p")
    assert (media.video.width, media.video.height, media.video.frames) == (WIDTH, HEIGHT, FRAMES)
    assert media.video.fps == pytest.approx(FPS)
    assert media.duration == pytest.approx(FRAMES / FPS, abs=0.01)
    assert media.audio is None
    assert is_faststart(clip)


def test_colours_survive_and_are_tagged(tmp_path: Path) -> None:
    clip = encode(tmp_path / "clip.mp4")
    picture = Image.open(io.BytesIO(frame_as_png(clip, at=0.0, max_side=WIDTH))).convert("RGB")
    for at, wanted in (((WIDTH // 4, HEIGHT // 2), RED), ((WIDTH * 3 // 4, HEIGHT // 2), GREEN)):
        found = picture.getpixel(at)
        assert isinstance(found, tuple)
        assert all(abs(a - b) <= 6 for a, b in zip(found, wanted, strict=True)), (found, wanted)
    told = subprocess.run([ffmpeg_executable(), "-i", str(clip)], capture_output=True, text=True, check=False)
    assert "tv, bt709" in told.stderr


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (encode(tmp_path / f"{name}.mp4").read_bytes() for name in "ab")
    assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()


def test_frames_that_end_in_an_error_leave_no_encoder_behind(tmp_path: Path) -> None:
    class GoneError(Exception):
        pass

    def broken() -> Iterator[memoryview]:
        yield from frames(3)
        raise GoneError

    with pytest.raises(GoneError):
        encode(tmp_path / "clip.mp4", broken())
    assert not [child for child in psutil.Process().children() if "ffmpeg" in child.name()]


def test_an_encoder_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"ffmpeg could not encode the clip: .*No such file") as caught:
        encode(tmp_path / "no" / "such" / "folder" / "clip.mp4")
    assert caught.value.blame == "ours"
