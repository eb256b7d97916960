"""Formats: what goes in comes out in each, whole and in its colours, and the same bytes each time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from generation.engines.base import EngineError
from generation.errors import ImpossibleForm
from generation.outputs.encoding import (
    MASTER,
    PROFILES,
    QUALITIES,
    Form,
    Source,
    Target,
    check,
    encode,
    profile_of,
    serves_as_master,
    shape_of,
)
from mutoscope.media import frame_as_png, is_faststart, probe
from tests.generation.outputs.encoding.pictures import (
    GREEN,
    RED,
    SOURCE,
    Frame,
    flat,
    made,
    moving,
    shown,
    steps,
    told,
    unpacked,
)


def file_of(folder: Path, form: Form, name: str = "clip") -> Path:
    return folder / f"{name}.{profile_of(form).extension}"


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("format_", PROFILES)
def test_each_format_holds_what_it_promises(tmp_path: Path, format_: str, quality: str) -> None:
    form = Form(format_, quality)
    check(made(file_of(tmp_path, form), form), SOURCE, form, with_sound=False)


@pytest.mark.parametrize("format_", PROFILES)
def test_the_same_frames_give_the_same_bytes_alone_and_beside_others(tmp_path: Path, format_: str) -> None:
    form = Form(format_)
    alone, beside = file_of(tmp_path, form, "alone"), file_of(tmp_path, form, "beside")
    encode(moving(), SOURCE, [Target(alone, form)])
    encode(moving(), SOURCE, [Target(tmp_path / "master.mp4", MASTER), Target(beside, form)])
    assert alone.read_bytes() == beside.read_bytes()


@pytest.mark.parametrize("format_", PROFILES)
def test_colours_survive(tmp_path: Path, format_: str) -> None:
    form = Form(format_, "best")
    encode(flat(), SOURCE, [Target(clip := file_of(tmp_path, form), form)])
    for (x, y), wanted in (((40, 48), RED), ((120, 48), GREEN)):
        found = first_frame(clip, form)[y, x].astype(int)
        assert np.abs(found - wanted).max() <= 6, (found, wanted)


def first_frame(clip: Path, form: Form) -> Frame:
    match form.format:
        case "png":
            return unpacked(clip)[0]
        case "gif" | "webp":
            return np.asarray(Image.open(clip).convert("RGB"))
        case _:
            return np.asarray(Image.open(io.BytesIO(frame_as_png(clip, at=0.0, max_side=160))).convert("RGB"))


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (Form("mp4"), ["h264", "yuv420p(tv, bt709"]),
        (Form("h265"), ["hevc", "hvc1", "yuv420p(tv, bt709"]),
        (Form("av1"), ["av1", "av01", "yuv420p(tv, bt709"]),
        (Form("webm"), ["vp9", "tv, bt709"]),
        (Form("prores"), ["HQ", "apch", "yuv422p10le(tv, bt709"]),
        (Form("prores", "small"), ["LT", "apcs"]),
        (Form("prores", "best"), ["4444", "ap4h", "yuv444p12le(tv, bt709"]),
    ],
)
def test_players_are_told_the_codec_and_the_colours(tmp_path: Path, form: Form, words: list[str]) -> None:
    said = told(made(file_of(tmp_path, form), form))
    assert [word for word in words if word not in said] == [], said


def test_a_clip_plays_while_it_loads(tmp_path: Path) -> None:
    for form in (Form("mp4"), Form("h265"), Form("av1"), Form("prores")):
        assert is_faststart(made(file_of(tmp_path, form), form))


def test_smaller_qualities_are_smaller(tmp_path: Path) -> None:
    for format_ in ("mp4", "webm", "gif"):
        sizes = [
            made(file_of(tmp_path, form), form).stat().st_size
            for form in (Form(format_, quality) for quality in QUALITIES)
        ]
        assert sizes == sorted(sizes), (format_, sizes)


def test_a_sequence_is_what_went_in(tmp_path: Path) -> None:
    form = Form("png")
    found = unpacked(made(tmp_path / "frames.zip", form))
    assert all(np.array_equal(a, b) for a, b in zip(found, moving(), strict=True))


def test_one_run_makes_all_targets(tmp_path: Path) -> None:
    forms = [
        MASTER, Form("gif", loop="boomerang"), Form("h265", width=80), Form("png", fps=12), Form("webm", fps=60),
        Form("mp4", "small", loop="crossfade"),
    ]  # fmt: skip
    targets = [Target(file_of(tmp_path, form, str(index)), form) for index, form in enumerate(forms)]
    encode(moving(), SOURCE, targets)
    for target in targets:
        check(target.path, SOURCE, target.form, with_sound=False)
    alone = made(tmp_path / "alone.gif", forms[1])
    assert alone.read_bytes() == targets[1].path.read_bytes()


def test_a_lower_rate_leaves_out_frames_and_keeps_the_length(tmp_path: Path) -> None:
    whole = list(moving())
    found = unpacked(made(tmp_path / "frames.zip", Form("png", fps=10)))
    assert len(found) == 10
    assert all(np.array_equal(frame, whole[index * 24 // 10]) for index, frame in enumerate(found))


def test_a_higher_rate_shows_the_way_between_frames(tmp_path: Path) -> None:
    """Of a light that moves evenly, the frame in between lies half-way: nearer to both than they to each other."""
    source = replace(SOURCE, frames=12)
    whole = list(moving(source))
    found = unpacked(made(tmp_path / "f.zip", Form("png", fps=48), source))
    assert len(found) == 24
    for index in range(1, 10):
        before, between, after = found[2 * index : 2 * index + 3]
        assert np.abs(before.astype(int) - whole[index]).max() <= 4
        there, back, at_once = steps([before, between, after])
        assert max(there, back) < 0.9 * at_once


@pytest.mark.parametrize(
    ("source", "form", "wanted"),
    [
        (Source(1920, 1080, 24, 240), Form("gif"), (480, 270, 15, 150)),
        (Source(1080, 1920, 24, 240), Form("gif", "small"), (180, 320, 10, 100)),
        (Source(1920, 1080, 24, 240), Form("gif", "best"), (1920, 1080, 24, 240)),
        (Source(1920, 1080, 60, 600), Form("gif", "best"), (1920, 1080, 50, 500)),
        (Source(1920, 1080, 24, 240), Form("gif", width=641, fps=20), (641, 361, 20, 200)),
        (Source(853, 481, 24, 48), Form("mp4"), (852, 480, 24, 48)),
        (Source(853, 481, 24, 48), Form("png"), (853, 481, 24, 48)),
        (Source(1280, 720, 24, 97), Form("mp4", fps=60, width=854), (854, 480, 60, 243)),
        (Source(1280, 720, 24, 97), Form("mp4", loop="boomerang"), (1280, 720, 24, 192)),
        (Source(1280, 720, 24, 97), Form("mp4", loop="crossfade"), (1280, 720, 24, 85)),
    ],
)
def test_what_comes_of_a_form(source: Source, form: Form, wanted: tuple[int, ...]) -> None:
    shape = shape_of(source, form)
    assert (shape.width, shape.height, shape.fps, shape.frames) == wanted


def test_an_odd_size_loses_a_row_where_colours_are_halved(tmp_path: Path) -> None:
    odd = Source(81, 49, 24, 8)
    check(made(tmp_path / "clip.mp4", MASTER, odd), odd, MASTER, with_sound=False)
    whole, found = next(iter(moving(odd))), shown(tmp_path / "clip.mp4", 80, 48)[0]
    assert np.abs(whole[:48, :80].astype(int) - found).mean() < 4


@pytest.mark.parametrize(
    ("form", "field", "rule"),
    [
        (Form("avi"), "format", r"format must be one of mp4, h265, .*, but is 'avi'"),
        (Form("mp4", "huge"), "quality", r"quality must be one of small, standard, best, but is 'huge'"),
        (Form("mp4", width=81), "width", r"width must be divisible by 2 in MP4 \(H.264\), but is 81"),
        (Form("mp4", width=320), "width", r"width must be between 16 and the clip's own 160, but is 320"),
        (Form("av1", width=32), "width", r"width must be between 64 and 8192 in MP4 \(AV1\), but is 32"),
        (Form("gif", fps=60), "fps", r"fps must be between 1 and 50 in GIF, but is 60"),
        (Form("mp4", fps=0), "fps", r"fps must be between 1 and 60 in MP4 \(H.264\), but is 0"),
        (Form("mp4", loop="circle"), "loop", r"loop must be one of boomerang, crossfade, but is 'circle'"),
    ],
)
def test_what_a_form_cannot_be_is_told_with_rule_and_value(
    tmp_path: Path, form: Form, field: str, rule: str
) -> None:
    with pytest.raises(ImpossibleForm, match=rule) as caught:
        shape_of(SOURCE, form)
    assert caught.value.field == field
    with pytest.raises(EngineError, match=rule) as failed:
        encode(moving(), SOURCE, [Target(tmp_path / "clip", form)])
    assert (failed.value.code, failed.value.blame) == ("form_impossible", "user")


def test_what_serves_as_master() -> None:
    assert serves_as_master(MASTER)
    assert serves_as_master(Form("mp4", "best"))
    for form in (
        Form("mp4", "small"), Form("h265"), Form(fps=60), Form(width=80), Form(loop="boomerang"),
    ):  # fmt: skip
        assert not serves_as_master(form)


def test_frames_that_end_in_an_error_leave_no_encoder_behind(tmp_path: Path) -> None:
    class GoneError(Exception):
        pass

    def broken() -> Iterator[Frame]:
        yield from list(moving())[:3]
        raise GoneError

    for form in (MASTER, Form("png"), Form("gif", loop="boomerang")):
        with pytest.raises(GoneError):
            encode(broken(), SOURCE, [Target(file_of(tmp_path, form), form)])
    assert not [child for child in psutil.Process().children() if "ffmpeg" in child.name()]


@pytest.mark.parametrize(("count", "complaint"), [(23, "has 23"), (25, "has more")])
def test_frames_must_be_as_many_as_was_said(tmp_path: Path, count: int, complaint: str) -> None:
    frames = moving(replace(SOURCE, frames=count))
    with pytest.raises(EngineError, match=f"must have 24 frames, but {complaint}") as caught:
        encode(frames, SOURCE, [Target(tmp_path / "clip.mp4", MASTER)])
    assert (caught.value.code, caught.value.blame) == ("frames_wrong", "ours")


def test_frames_must_be_as_large_as_was_said(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="must have 46080 bytes, but has 100"):
        encode([bytes(100)], SOURCE, [Target(tmp_path / "clip.mp4", MASTER)])


def test_an_encoder_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"ffmpeg could not encode the clip: .*No such file") as caught:
        encode(moving(), SOURCE, [Target(tmp_path / "no" / "such" / "folder" / "clip.mp4", MASTER)])
    assert caught.value.blame == "ours"


@pytest.mark.parametrize("form", [MASTER, Form("png")])
def test_an_encoder_that_is_killed_is_told(tmp_path: Path, form: Form) -> None:
    def killing() -> Iterator[Frame]:
        for index, frame in enumerate(moving()):
            if index == 5:
                for child in psutil.Process().children():
                    child.kill()
            yield frame

    with pytest.raises(EngineError, match="exit -9") as caught:
        encode(killing(), SOURCE, [Target(file_of(tmp_path, form), form)])
    assert (caught.value.code, caught.value.blame) == ("encode_failed", "ours")


def test_a_damaged_file_is_found(tmp_path: Path) -> None:
    for format_ in PROFILES:
        form = Form(format_)
        clip = made(file_of(tmp_path, form), form)
        content = bytearray(clip.read_bytes())
        clip.write_bytes(content[: len(content) * 2 // 3])
        with pytest.raises(EngineError) as caught:
            check(clip, SOURCE, form, with_sound=False)
        assert caught.value.code == "clip_broken", format_


def test_a_clip_that_stands_still_is_whole_in_every_format(tmp_path: Path) -> None:
    for format_ in PROFILES:
        form = Form(format_)
        frame = next(iter(moving()))
        encode([frame] * SOURCE.frames, SOURCE, [Target(clip := file_of(tmp_path, form), form)])
        check(clip, SOURCE, form, with_sound=False)


def test_a_clip_can_be_probed_by_anybody(tmp_path: Path) -> None:
    media = probe(made(tmp_path / "clip.mp4", MASTER), strict=True)
    assert media.video is not None
    assert (media.video.codec, media.video.pix_fmt, media.video.frames) == ("h264", "yuv420p", 24)
    assert media.duration == pytest.approx(1.0, abs=0.01)
    assert media.audio is None
