"""Sound: as long as the clip, in step with it, and only where the form has any."""

from __future__ import annotations

import math
import struct
import subprocess
import wave
from pathlib import Path

import pytest

from generation.engines.base import EngineError
from generation.outputs.encoding import (
    MASTER,
    PROFILES,
    Form,
    Target,
    add_sound,
    carries_sound,
    check,
    convert,
    encode,
    profile_of,
)
from mutoscope.media import ffmpeg_executable, probe
from tests.generation.outputs.encoding.pictures import SOURCE, made, moving

RATE, TONE = 48_000, 440
LOUDNESS = 2**14 * 2 / math.pi
"""The mean of a tone's samples, all taken as positive."""


def tone(target: Path, seconds: float, *, begins: float = 0.0) -> Path:
    """Silence until it begins; then a tone on the left and silence on the right."""
    samples = (
        math.sin(2 * math.pi * TONE * index / RATE) if index >= begins * RATE else 0.0
        for index in range(round(seconds * RATE))
    )
    with wave.open(str(target), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(b"".join(struct.pack("<hh", round(sample * 2**14), 0) for sample in samples))
    return target


def clip_with_sound(folder: Path, form: Form, seconds: float = 1.0, *, begins: float = 0.0) -> Path:
    """The moving pictures in that form, with a tone under them."""
    sound = tone(folder / "tone.wav", seconds, begins=begins)
    silent, target = (folder / f"{name}.{profile_of(form).extension}" for name in ("silent", "clip"))
    add_sound(made(silent, form), sound, target, source=SOURCE, form=form)
    return target


def heard(clip: Path) -> tuple[list[int], list[int]]:
    """The clip's sound as it is played: left and right."""
    command = [ffmpeg_executable(), "-loglevel", "error", "-i", str(clip), "-map", "0:a", "-f", "s16le"]
    played = subprocess.run([*command, "-ar", str(RATE), "-"], capture_output=True, check=True).stdout
    samples = struct.unpack(f"<{len(played) // 2}h", played)
    return list(samples[::2]), list(samples[1::2])


def loudness(samples: list[int], begin: float, end: float) -> float:
    """Of these seconds; 1 is the tone's own."""
    part = [abs(sample) for sample in samples[round(begin * RATE) : round(end * RATE)]]
    return sum(part) / len(part) / LOUDNESS


SOUNDING = [slug for slug, profile in PROFILES.items() if profile.sound]


@pytest.mark.parametrize("format_", SOUNDING)
@pytest.mark.parametrize("seconds", [0.5, 1.5])
def test_sound_is_as_long_as_the_clip(tmp_path: Path, format_: str, seconds: float) -> None:
    """Cut where it is longer, followed by silence where it is shorter."""
    form = Form(format_)
    clip = clip_with_sound(tmp_path, form, seconds)
    check(clip, SOURCE, form, with_sound=True)
    left, right = heard(clip)
    assert len(left) / RATE == pytest.approx(SOURCE.seconds, abs=0.03)
    assert loudness(left, 0.1, min(seconds, 1.0) - 0.1) == pytest.approx(1, rel=0.05)
    assert loudness(right, 0.0, 1.0) < 0.03
    if seconds < SOURCE.seconds:
        assert loudness(left, seconds + 0.1, 1.0) < 0.03


def test_sound_begins_with_the_pictures(tmp_path: Path) -> None:
    left, _ = heard(clip_with_sound(tmp_path, MASTER, begins=0.5))
    assert loudness(left, 0.0, 0.45) < 0.05
    assert loudness(left, 0.55, 0.95) == pytest.approx(1, rel=0.05)


def test_sound_leaves_the_pictures_as_they_are(tmp_path: Path) -> None:
    clip = clip_with_sound(tmp_path, MASTER)
    command = [ffmpeg_executable(), "-loglevel", "error"]
    digests = [
        subprocess.run(
            [*command, "-i", str(path), "-map", "0:v", "-c", "copy", "-f", "md5", "-"],
            capture_output=True,
            check=True,
        ).stdout
        for path in (tmp_path / "silent.mp4", clip)
    ]
    assert digests[0] == digests[1]


@pytest.mark.parametrize("format_", SOUNDING)
def test_the_same_sound_gives_the_same_bytes(tmp_path: Path, format_: str) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    first, second = (clip_with_sound(folder, Form(format_)).read_bytes() for folder in folders)
    assert first == second


def test_a_cross_faded_loop_cross_fades_its_sound(tmp_path: Path) -> None:
    """A tone in the second half: six frames go from the beginning, and its end fades into their silence."""
    form = Form(loop="crossfade")
    clip = clip_with_sound(tmp_path, form, begins=0.5)
    check(clip, SOURCE, form, with_sound=True)
    left, _ = heard(clip)
    assert loudness(left, 0.0, 0.22) < 0.05
    assert loudness(left, 0.3, 0.48) == pytest.approx(1, rel=0.1)
    assert 0.3 < loudness(left, 0.55, 0.7) < 0.7
    convert(clip_with_sound(tmp_path, MASTER, begins=0.5), [Target(tmp_path / "loop.mp4", form)])
    again, _ = heard(tmp_path / "loop.mp4")
    for begin in (0.0, 0.3, 0.55):
        assert loudness(again, begin, begin + 0.15) == pytest.approx(loudness(left, begin, begin + 0.15), abs=0.08)


def test_what_is_silent_stays_silent(tmp_path: Path) -> None:
    silent = [Form(slug) for slug in PROFILES if slug not in SOUNDING] + [Form(loop="boomerang")]
    assert not any(carries_sound(form) for form in silent)
    (sound := tone(tmp_path / "tone.wav", 1.0)).touch()
    for form, name in zip(silent, ("GIF", "Animated WebP", "PNG sequence", "boomerang"), strict=True):
        with pytest.raises(EngineError, match=f"{name}.* has no sound") as caught:
            add_sound(tmp_path / "clip", sound, tmp_path / "other", source=SOURCE, form=form)
        assert (caught.value.code, caught.value.blame) == ("form_impossible", "user")
    convert(clip_with_sound(tmp_path, MASTER), [Target(tmp_path / "loop.mp4", silent[-1])])
    assert probe(tmp_path / "loop.mp4").audio is None


def test_a_clip_without_sound_gets_none(tmp_path: Path) -> None:
    encode(moving(), SOURCE, [Target(tmp_path / "master.mp4", MASTER)])
    convert(tmp_path / "master.mp4", [Target(tmp_path / "clip.webm", Form("webm"))])
    check(tmp_path / "clip.webm", SOURCE, Form("webm"), with_sound=False)


def test_sound_that_is_none_is_told(tmp_path: Path) -> None:
    (broken := tmp_path / "sound.wav").write_text("not sound")
    with pytest.raises(EngineError, match="ffmpeg could not encode the clip") as caught:
        add_sound(made(tmp_path / "silent.mp4", MASTER), broken, tmp_path / "clip.mp4", source=SOURCE, form=MASTER)
    assert caught.value.blame == "ours"
