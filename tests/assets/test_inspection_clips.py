"""Inspection of video and sound: what is kept of an upload, and what it is said to be."""

import hashlib
import io

import pytest
from PIL import Image

from assets.inspection import Clip, inspect_upload
from tests.assets.samples import (
    LIMITS,
    clip,
    close,
    opened,
    run_ffmpeg,
)

SECRET = "the-secret-of-alice"


@pytest.mark.parametrize(
    ("name", "options", "media_type"),
    [
        ("a.mp4", ("-pix_fmt", "yuv420p"), "video/mp4"),
        ("a.mov", ("-pix_fmt", "yuv420p"), "video/quicktime"),
        ("a.webm", ("-c:v", "libvpx", "-c:a", "libopus"), "video/webm"),
        ("a.mkv", (), "video/x-matroska"),
    ],
)
def test_a_video(tmp_path, name, options, media_type):
    tags = ("-metadata", f"location={SECRET}", "-metadata", f"comment={SECRET}")
    data = clip(tmp_path / name, *options, *tags).read_bytes()
    assert SECRET.encode() in data
    video = inspect_upload(io.BytesIO(data), name, LIMITS)
    assert isinstance(video, Clip)
    assert (video.kind, video.media_type, video.size) == ("video", media_type, len(data))
    assert video.sha256 == hashlib.sha256(data).hexdigest()
    assert (video.width, video.height) == (128, 96)
    assert video.fps == pytest.approx(24, abs=0.05)
    assert video.duration == pytest.approx(1, abs=0.06)
    assert video.thumbnail
    assert video.color
    poster = opened(video.thumbnail.data)
    assert (poster.format, poster.size) == ("WEBP", (128, 96))
    assert close(bytes.fromhex(video.color[1:]), poster.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0)), 8)
    with video.clean.file as file:
        served = file.read()
    assert video.clean.extension == f".{name[2:]}"
    assert SECRET.encode() not in served
    assert inspect_upload(io.BytesIO(served), name, LIMITS).media_type == media_type


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.mp3", "audio/mpeg"),
        ("a.wav", "audio/wav"),
        ("a.flac", "audio/flac"),
        ("a.ogg", "audio/ogg"),
        ("a.aac", "audio/aac"),
        ("a.m4a", "audio/mp4"),
    ],
)
def test_a_sound(tmp_path, name, media_type):
    data = clip(tmp_path / name, "-vn", "-metadata", f"title={SECRET}").read_bytes()
    sound = inspect_upload(io.BytesIO(data), "whatever", LIMITS)
    assert isinstance(sound, Clip)
    assert (sound.kind, sound.media_type, sound.clean.extension) == ("audio", media_type, name[1:])
    assert sound.duration == pytest.approx(1, abs=0.06)
    assert (sound.width, sound.height, sound.fps, sound.thumbnail, sound.color) == (None,) * 5
    with sound.clean.file as file:
        assert SECRET.encode() not in file.read()


def test_a_video_of_one_frame_has_a_poster(tmp_path):
    run_ffmpeg("-f", "lavfi", "-i", "color=red:s=128x96", "-frames:v", "1", str(tmp_path / "one.mp4"))
    video = inspect_upload(io.BytesIO((tmp_path / "one.mp4").read_bytes()), "one.mp4", LIMITS)
    assert isinstance(video, Clip)
    with video.clean.file:
        assert close(bytes.fromhex((video.color or "")[1:]), (254, 0, 0), 6)
