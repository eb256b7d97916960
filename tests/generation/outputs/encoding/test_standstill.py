"""An ffmpeg that hangs is ended; one that waits for slow frames, or for somebody to take them, is not."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from generation.engines.base import EngineError
from generation.outputs.encoding import Form, Source, Target, check, encode, hardware, standstill
from generation.outputs.encoding.decoding import Decoded, decode
from tests.generation.outputs.encoding.pictures import Frame, made, moving

PATIENCE = 1.5
"""Seconds: a busy machine may give a process no time for a while."""
MP4 = Form("mp4")
LARGE = Source(640, 360, 24, 24)
"""Each frame is larger than what a pipe holds."""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standstill, "PATIENCE", PATIENCE)
    monkeypatch.setattr(standstill, "LOOK", 0.1)


def freeze() -> None:
    """Stop every ffmpeg of this process, as a driver that hangs does."""
    for child in psutil.Process().children():
        if "ffmpeg" in child.name():
            child.send_signal(signal.SIGSTOP)


def hanging(at: int) -> Iterator[Frame]:
    for index, frame in enumerate(moving(LARGE)):
        if index == at:
            freeze()
        yield frame


@pytest.mark.parametrize("at", [3, 23], ids=["in-the-middle", "at-the-last-frame"])
def test_an_encoder_that_hangs_is_ended(tmp_path: Path, at: int) -> None:
    with pytest.raises(EngineError, match=r"could not encode the clip: it stood still for 1\.5 s") as caught:
        encode(hanging(at), LARGE, [Target(tmp_path / "clip.mp4", MP4)])
    assert (caught.value.code, caught.value.blame) == ("encode_failed", "ours")
    assert not [child for child in psutil.Process().children() if "ffmpeg" in child.name()]


def test_hardware_that_hangs_gives_way_to_software(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    family = hardware.Family("pretended", {"hevc": "libx265"}, "crf", {"preset": "ultrafast"})
    monkeypatch.setattr(hardware, "FAMILIES", {"pretended": family})
    monkeypatch.setattr(hardware, "_resting", {})
    settings.VIDEO_ENCODERS = ["pretended"]
    target = Target(tmp_path / "clip.mp4", Form("h265"))
    with caplog.at_level(logging.WARNING):
        encode(hanging(3), LARGE, [target])
    assert "pretended did not encode a clip, which is encoded in software: it stood still" in caplog.text
    check(target.path, LARGE, target.form, with_sound=False)


def test_slow_frames_are_waited_for(tmp_path: Path) -> None:
    source = Source(160, 96, 24, 3)

    def slow() -> Iterator[Frame]:
        for index, frame in enumerate(moving(source)):
            if index == 1:
                time.sleep(1.5 * PATIENCE)
            yield frame

    encode(slow(), source, [Target(tmp_path / "clip.mp4", MP4)])
    check(tmp_path / "clip.mp4", source, MP4, with_sound=False)


def test_a_decoder_that_hangs_is_ended(tmp_path: Path) -> None:
    decoded = Decoded.of(made(tmp_path / "clip.mp4", MP4, LARGE))
    with closing(decode(decoded)) as frames:
        next(frames)
        freeze()
        with pytest.raises(EngineError, match="could not be decoded: it stood still") as caught:
            list(frames)
    assert (caught.value.code, caught.value.blame) == ("decoder_stuck", "machine")


def test_a_decoder_whose_frames_are_taken_slowly_is_left_alone(tmp_path: Path) -> None:
    decoded = Decoded.of(made(tmp_path / "clip.mp4", MP4, LARGE))
    frames = decode(decoded)
    next(frames)
    time.sleep(1.5 * PATIENCE)
    assert len(list(frames)) == LARGE.frames - 1
