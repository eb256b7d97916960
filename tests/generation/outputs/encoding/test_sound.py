"""Encoding: what goes in comes out, in the form that every player takes, and the same bytes each time."""

from __future__ import annotations

import hashlib
import io
import math
import struct
import subprocess
import wave
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from PIL import Image

from generation.engines.base import EngineError
from generation.outputs.encode import add_sound, encode_mp4
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


RATE, TONE = 16_000, 440


def tone(target: Path, seconds: float) -> Path:
    """A tone on the left and silence on the right."""
    samples = (math.sin(2 * math.pi * TONE * index / RATE) for index in range(round(seconds * RATE)))
    with wave.open(str(target), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(b"".join(struct.pack("<hh", round(sample * 2**14), 0) for sample in samples))
    return target


def heard(clip: Path) -> tuple[list[int], list[int]]:
    """The clip's sound as it is played: left and right."""
    command = [ffmpeg_executable(), "-loglevel", "error", "-i", str(clip), "-map", "0:a", "-f", "s16le", "-"]
    played = subprocess.run(command, capture_output=True, check=True).stdout
    samples = struct.unpack(f"<{len(played) // 2}h", played)
    return list(samples[::2]), list(samples[1::2])


@pytest.mark.parametrize("seconds", [0.5, 1.0, 1.5])
def test_sound_is_as_long_as_the_clip(tmp_path: Path, seconds: float) -> None:
    """Cut where it is longer, followed by silence where it is shorter."""
    silent, target = encode(tmp_path / "silent.mp4"), tmp_path / "clip.mp4"
    add_sound(silent, tone(tmp_path / "sound.wav", seconds), target, seconds=FRAMES / FPS)
    media = probe(target, strict=True)
    assert media.video is not None
    assert media.audio is not None
    assert (media.video.frames, media.video.codec) == (FRAMES, "h264")
    assert (media.audio.codec, media.audio.sample_rate, media.audio.channels) == ("aac", RATE, 2)
    assert is_faststart(target)
    left, right = heard(target)
    assert len(left) / RATE == pytest.approx(FRAMES / FPS, abs=1024 / RATE)
    sounding = [abs(sample) for sample in left[2000 : round(min(seconds, 1.0) * RATE) - 2000]]
    assert sum(sounding) / len(sounding) == pytest.approx(2**14 * 2 / math.pi, rel=0.05)
    assert max(map(abs, right)) < 200
    if seconds < FRAMES / FPS:
        assert max(map(abs, left[round(seconds * RATE) + 2000 :])) < 200


def test_sound_leaves_the_pictures_as_they_are(tmp_path: Path) -> None:
    silent, target = encode(tmp_path / "silent.mp4"), tmp_path / "clip.mp4"
    add_sound(silent, tone(tmp_path / "sound.wav", 1), target, seconds=FRAMES / FPS)
    streams = [
        subprocess.run(
            [
                ffmpeg_executable(),
                "-loglevel",
                "error",
                "-i",
                str(clip),
                "-map",
                "0:v",
                "-c",
                "copy",
                "-f",
                "md5",
                "-",
            ],
            capture_output=True,
            check=True,
        ).stdout
        for clip in (silent, target)
    ]
    assert streams[0] == streams[1]


def test_the_same_sound_gives_the_same_bytes(tmp_path: Path) -> None:
    silent, sound = encode(tmp_path / "silent.mp4"), tone(tmp_path / "sound.wav", 1)
    clips = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for clip in clips:
        add_sound(silent, sound, clip, seconds=FRAMES / FPS)
    assert clips[0].read_bytes() == clips[1].read_bytes()


def test_sound_that_is_none_is_told(tmp_path: Path) -> None:
    (broken := tmp_path / "sound.wav").write_text("not sound")
    with pytest.raises(EngineError, match="ffmpeg could not encode the clip") as caught:
        add_sound(encode(tmp_path / "silent.mp4"), broken, tmp_path / "clip.mp4", seconds=1)
    assert caught.value.blame == "ours"
