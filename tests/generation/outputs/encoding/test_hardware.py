"""Hardware: found by trying, and left in the middle with nothing lost."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from generation.checks import video_encoders_exist
from generation.outputs.encoding import PROFILES, Form, Target, check, encode, hardware
from generation.outputs.encoding.hardware import Encoder, encoder_of, works
from tests.generation.outputs.encoding.pictures import SOURCE, Frame, made, moving

H265 = Form("h265")


@pytest.fixture(autouse=True)
def _fresh(settings: Any) -> Iterator[None]:
    settings.VIDEO_ENCODERS = ["auto"]
    hardware._trial.cache_clear()
    hardware._resting.clear()
    yield
    hardware._trial.cache_clear()
    hardware._resting.clear()


@pytest.fixture
def pretending(monkeypatch: pytest.MonkeyPatch) -> None:
    """A graphics processor whose encoder works; it is one that is called otherwise, and runs anywhere."""
    family = hardware.Family("pretended", {"hevc": "libx265", "h264": "libx264"}, "crf", {"preset": "ultrafast"})
    monkeypatch.setattr(hardware, "FAMILIES", {"pretended": family})


def test_an_encoder_that_is_listed_but_does_not_work_here_is_not_taken() -> None:
    assert works(Encoder("libx264", {}, "yuv420p"))
    for family in hardware.FAMILIES.values():
        for name in family.encoders.values():
            found = Encoder(name, {}, family.pix_fmt, family.name, family.filters, family.devices)
            if works(found):
                pytest.skip(f"this machine has {name}")
    assert encoder_of(H265).name == "libx265"


def test_an_encoder_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    runs, run = [], hardware.subprocess.run
    monkeypatch.setattr(hardware.subprocess, "run", lambda *a, **k: runs.append(a) or run(*a, **k))
    for _ in range(3):
        assert not works(Encoder("h264_nosuch", {}))
    assert len(runs) == 1


@pytest.mark.usefixtures("pretending")
def test_the_setting_says_who_encodes(settings: Any) -> None:
    assert encoder_of(H265).family == "pretended"
    assert encoder_of(Form("mp4")).family == "", "H.264 stays reproducible"
    settings.VIDEO_ENCODERS = ["pretended"]
    assert encoder_of(Form("mp4")).family == "pretended"
    settings.VIDEO_ENCODERS = ["software"]
    assert encoder_of(H265).family == ""
    assert encoder_of(Form("webm")).family == ""


@pytest.mark.usefixtures("pretending")
def test_hardware_encodes(tmp_path: Path) -> None:
    fast, usual = made(tmp_path / "fast.mp4", H265), tmp_path / "usual.mp4"
    check(fast, SOURCE, H265, with_sound=False)
    hardware.refused({"pretended"}, "for this test")
    assert made(usual, H265).read_bytes() != fast.read_bytes()


@pytest.mark.usefixtures("pretending")
@pytest.mark.parametrize("form", [H265, Form("h265", loop="boomerang")])
def test_what_refuses_in_the_middle_loses_nothing(
    tmp_path: Path, form: Form, caplog: pytest.LogCaptureFixture
) -> None:
    """The process that encodes is gone at frame 9; beside it, a GIF was on its way."""

    def breaking() -> Iterator[Frame]:
        for index, frame in enumerate(moving()):
            if index == 9:
                for child in psutil.Process().children():
                    child.kill()
            yield frame

    targets = [Target(tmp_path / "clip.mp4", form), Target(tmp_path / "clip.gif", Form("gif"))]
    with caplog.at_level(logging.WARNING):
        encode(breaking(), SOURCE, targets)
    assert "pretended did not encode a clip, which is encoded in software" in caplog.text
    for target in targets:
        check(target.path, SOURCE, target.form, with_sound=False)
    assert encoder_of(H265).family == "", "it is left alone for a while"
    assert made(tmp_path / "software.mp4", form).read_bytes() == targets[0].path.read_bytes()


def test_what_refuses_at_once_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As NVENC does that has as many sessions as it allows: it worked when it was tried, and now it does not."""
    nvenc = hardware.FAMILIES["nvenc"]
    if works(Encoder("hevc_nvenc", {}, nvenc.pix_fmt, "nvenc")):
        pytest.skip("this machine has NVENC")
    monkeypatch.setattr(hardware, "works", lambda encoder: encoder.family == "nvenc")
    assert encoder_of(H265).name == "hevc_nvenc"
    check(made(tmp_path / "clip.mp4", H265), SOURCE, H265, with_sound=False)
    assert encoder_of(H265).name == "libx265"


def test_every_quality_with_a_number_for_hardware_has_a_codec_that_some_has() -> None:
    codecs = {codec for family in hardware.FAMILIES.values() for codec in family.encoders}
    for profile in PROFILES.values():
        numbers = [preset.hardware for preset in profile.presets.values()]
        assert all(number is not None for number in numbers) == (profile.codec in codecs), profile.slug


@pytest.mark.parametrize(
    ("named", "accepted"),
    [
        (["auto"], True),
        (["software"], True),
        (["vaapi", "nvenc"], True),
        (["nvidia"], False),
        (["auto", "nvenc"], False),
        ([], False),
    ],
)
def test_a_setting_that_names_no_encoder_is_told(settings: Any, named: list[str], accepted: bool) -> None:
    settings.VIDEO_ENCODERS = named
    found = video_encoders_exist()
    assert (found == []) is accepted
    if not accepted:
        assert f"but is {','.join(named)!r}" in found[0].msg
