"""ffmpeg is found, tells the truth about files, and is never led elsewhere by one."""

import time
from pathlib import Path

import pytest

from mutoscope import media
from mutoscope.media import (
    FfmpegMissingError,
    MediaError,
    ffmpeg_executable,
    frame_as_png,
    is_faststart,
    probe,
    remux_without_metadata,
)
from tests.assets.samples import clip, close, opened, run_ffmpeg

SECRET = "the-secret-of-alice"


@pytest.fixture
def fresh_search():
    ffmpeg_executable.cache_clear()
    yield
    ffmpeg_executable.cache_clear()


def test_the_systems_ffmpeg_is_preferred(fresh_search, monkeypatch, tmp_path):
    system = tmp_path / "ffmpeg"
    system.write_text("#!/bin/sh\n")
    system.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ffmpeg_executable() == str(system)


def test_the_wheels_ffmpeg_is_found_without_one_on_the_path(fresh_search, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert "imageio_ffmpeg" in ffmpeg_executable()


def test_no_ffmpeg_at_all_is_said_in_a_sentence(fresh_search, monkeypatch):
    def none() -> str:
        raise RuntimeError

    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(media.imageio_ffmpeg, "get_ffmpeg_exe", none)
    with pytest.raises(FfmpegMissingError, match="install"):
        ffmpeg_executable()


def test_probe_of_an_mp4(tmp_path):
    options = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", "-ar", "48000", "-ac", "2")
    info = probe(clip(tmp_path / "clip.mp4", *options, seconds=1.5), strict=True)
    assert info.container.startswith("mov,mp4")
    assert info.duration == pytest.approx(1.5, abs=0.03)
    assert info.video == media.VideoStream("h264", "yuv420p", 128, 96, 24.0, 36)
    assert info.audio == media.AudioStream("aac", 48000, 2)


@pytest.mark.parametrize(
    ("name", "options", "container", "codecs"),
    [
        ("clip.webm", ("-c:v", "libvpx", "-c:a", "libopus"), "matroska", ("vp8", "opus")),
        ("clip.mkv", ("-c:v", "libx264", "-c:a", "flac"), "matroska", ("h264", "flac")),
        ("clip.mov", ("-c:v", "mpeg4", "-c:a", "pcm_s16le"), "mov", ("mpeg4", "pcm_s16le")),
        ("sound.mp3", ("-vn",), "mp3", (None, "mp3")),
        ("sound.wav", ("-vn",), "wav", (None, "pcm_s16le")),
        ("sound.flac", ("-vn",), "flac", (None, "flac")),
        ("sound.ogg", ("-vn", "-c:a", "libvorbis"), "ogg", (None, "vorbis")),
        ("sound.aac", ("-vn",), "aac", (None, "aac")),
        ("sound.m4a", ("-vn",), "mov", (None, "aac")),
    ],
)
def test_probe_of_every_accepted_container(tmp_path, name, options, container, codecs):
    info = probe(clip(tmp_path / name, *options), strict=True)
    assert info.container.startswith(container)
    assert (info.video and info.video.codec, info.audio and info.audio.codec) == codecs
    assert info.duration == pytest.approx(1.0, abs=0.06)
    if info.video:
        assert (info.video.width, info.video.height, info.video.frames) == (128, 96, 24)
        assert info.video.fps == pytest.approx(24, abs=0.05)
    assert info.audio
    assert info.audio.channels == 1


def test_a_broadcast_rate_is_exact(tmp_path):
    path = tmp_path / "ntsc.mp4"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x64:rate=24000/1001:duration=2", str(path))
    info = probe(path)
    assert info.video
    assert info.video.fps == pytest.approx(24000 / 1001, abs=0.001)
    assert info.audio is None


def test_a_turned_video_has_its_displayed_size(tmp_path):
    upright = clip(tmp_path / "a.mp4")
    run_ffmpeg("-display_rotation", "90", "-i", str(upright), "-c", "copy", str(tmp_path / "b.mp4"))
    video = probe(tmp_path / "b.mp4").video
    assert video
    assert (video.width, video.height) == (96, 128)


def test_the_duration_is_measured_and_not_believed(tmp_path):
    whole = clip(tmp_path / "whole.mp4", "-movflags", "+faststart", seconds=2.0).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    assert probe(tmp_path / "cut.mp4").duration < 1.5


@pytest.mark.parametrize("fraction", [0.4, 0.7, 0.9])
@pytest.mark.parametrize("name", ["clip.mp4", "fast.mp4", "clip.mkv", "clip.webm", "sound.wav", "sound.flac"])
def test_strict_refuses_what_is_cut_short(tmp_path, name, fraction):
    options = ("-movflags", "+faststart") if name.startswith("fast") else ()
    whole = clip(tmp_path / name, *options).read_bytes()
    cut = tmp_path / f"cut-{name}"
    cut.write_bytes(whole[: int(len(whole) * fraction)])
    with pytest.raises(MediaError, match="cut short"):
        probe(cut, strict=True)


def test_strict_refuses_damage_in_the_middle(tmp_path):
    data = bytearray(clip(tmp_path / "clip.mp4", "-g", "100").read_bytes())
    start = data.index(b"mdat") + 2000
    data[start : start + 4000] = b"\xa5" * 4000
    (tmp_path / "bad.mp4").write_bytes(data)
    with pytest.raises(MediaError, match="damaged"):
        probe(tmp_path / "bad.mp4", strict=True)


@pytest.mark.parametrize("name", ["list.m3u8", "list.mp4", "list.txt"])
@pytest.mark.parametrize("kind", ["hls", "concat", "sdp"])
def test_a_playlist_cannot_make_ffmpeg_read_another_file(tmp_path, name, kind):
    secret = clip(tmp_path / "secret.mp4", "-c:v", "libx264")
    texts = {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret.name}\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile '{secret.name}'\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    }
    (tmp_path / name).write_text(texts[kind])
    started = time.monotonic()
    for read in (probe, lambda path: frame_as_png(path, at=0, max_side=64)):
        with pytest.raises(MediaError):
            read(tmp_path / name)
    assert time.monotonic() - started < 5  # nothing was waited for


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.txt", "ffconcat version 1.0\nfile 'secret.mp4'\n"),
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.mp4\n#EXT-X-ENDLIST\n"),
    ],
)
def test_the_playlists_above_do_work_without_the_whitelists(tmp_path, name, text):
    """Else the test above would prove nothing."""
    clip(tmp_path / "secret.mp4", "-c:v", "libx264")
    (tmp_path / name).write_text(text)
    run_ffmpeg("-i", str(tmp_path / name), str(tmp_path / "leak.mp4"))
    assert probe(tmp_path / "leak.mp4").video


def test_a_name_like_a_protocol_is_a_name(tmp_path):
    odd = tmp_path / "concat:a|b.mp4"
    odd.write_bytes(clip(tmp_path / "clip.mp4").read_bytes())
    assert probe(odd).video


def test_a_run_past_its_deadline_is_killed(tmp_path):
    path = clip(tmp_path / "long.mp4", "-preset", "ultrafast", seconds=60, sound=False)
    started = time.monotonic()
    with pytest.raises(MediaError, match=r"longer than 0\.05 seconds") as caught:
        probe(path, strict=True, timeout=0.05)
    assert caught.value.fault is media.Fault.OVERDUE
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"hello " * 1000, b"\0\0\0\x18ftypmp42" + b"\0" * 12])
def test_what_is_no_media_file_is_refused(tmp_path, content):
    (tmp_path / "x.mp4").write_bytes(content)
    with pytest.raises(MediaError):
        probe(tmp_path / "x.mp4")


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(MediaError):
        probe(tmp_path / "none.mp4")


def test_a_cover_picture_is_not_a_video(tmp_path):
    sound, cover, both = tmp_path / "a.mp3", tmp_path / "cover.png", tmp_path / "b.mp3"
    clip(sound, "-vn")
    run_ffmpeg("-f", "lavfi", "-i", "color=red:s=64x64", "-frames:v", "1", str(cover))
    run_ffmpeg("-i", str(sound), "-i", str(cover), "-map", "0", "-map", "1", "-c", "copy", str(both))
    assert probe(both).video is None


def test_remuxing_leaves_the_metadata_behind(tmp_path):
    tags = ("-metadata", f"location={SECRET}", "-metadata", f"comment={SECRET}")
    tags += ("-metadata:s:v", f"title={SECRET}", "-metadata:s:a", f"title={SECRET}")
    chapters = tmp_path / "chapters.txt"
    chapters.write_text(f";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\ntitle={SECRET}\n")
    for name, muxer in (("a.mp4", "mp4"), ("a.mov", "mov"), ("a.mkv", "matroska")):
        source, target = clip(tmp_path / f"plain-{name}"), tmp_path / f"clean-{name}"
        tagged = tmp_path / name
        run_ffmpeg("-i", str(source), "-i", str(chapters), "-map_chapters", "1", "-c", "copy", *tags, str(tagged))
        assert SECRET.encode() in tagged.read_bytes()
        remux_without_metadata(tagged, target, muxer=muxer)
        assert SECRET.encode() not in target.read_bytes()
        before, after = probe(tagged), probe(target, strict=True)
        assert after.video == before.video
        assert after.audio == before.audio
        assert is_faststart(target) == (muxer != "matroska")


def test_remuxing_keeps_the_rotation(tmp_path):
    clip(tmp_path / "a.mp4")
    turned, target = tmp_path / "b.mp4", tmp_path / "c.mp4"
    run_ffmpeg("-display_rotation", "90", "-i", str(tmp_path / "a.mp4"), "-c", "copy", str(turned))
    remux_without_metadata(turned, target, muxer="mp4")
    assert probe(target).video == probe(turned).video


def test_a_frame_is_taken_at_its_time_upright_and_small(tmp_path):
    path, turned = tmp_path / "colors.mp4", tmp_path / "turned.mp4"
    graph = "color=red:s=320x160:r=10:d=1[a];color=blue:s=320x160:r=10:d=1[b];[a][b]concat"
    run_ffmpeg("-filter_complex", graph, "-pix_fmt", "yuv420p", str(path))
    run_ffmpeg("-display_rotation", "90", "-i", str(path), "-c", "copy", str(turned))
    first = opened(frame_as_png(path, at=0.2, max_side=100))
    second = opened(frame_as_png(turned, at=1.5, max_side=100))
    assert first.size == (100, 50)
    assert second.size == (50, 100)
    assert close(first.getpixel((50, 25)), (254, 0, 0), 10)
    assert close(second.getpixel((25, 50)), (0, 0, 254), 10)
    with pytest.raises(MediaError, match="no frame"):
        frame_as_png(path, at=9, max_side=100)


def box(kind: bytes, body: bytes, *, wide: bool = False) -> bytes:
    if wide:
        return (1).to_bytes(4, "big") + kind + (len(body) + 16).to_bytes(8, "big") + body
    return (len(body) + 8).to_bytes(4, "big") + kind + body


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([box(b"ftyp", b"mp42"), box(b"moov", b"."), box(b"mdat", b".")], True),
        ([box(b"ftyp", b"mp42"), box(b"mdat", b"."), box(b"moov", b".")], False),
        ([box(b"ftyp", b"mp42"), box(b"free", b"moov" * 9, wide=True), box(b"moov", b".")], True),
        ([box(b"ftyp", b"mp42"), box(b"mdat", b"moov" * 9, wide=True), box(b"moov", b".")], False),
        ([box(b"ftyp", b"mp42"), b"\0\0\0\0free", box(b"moov", b".")], False),
        ([box(b"ftyp", b"mp42"), b"\0\0\0\4free", box(b"moov", b".")], False),
        ([b""], False),
        ([b"plain text that is long enough"], False),
    ],
)
def test_faststart_by_walking_the_boxes(tmp_path, boxes, expected):
    (tmp_path / "x.mp4").write_bytes(b"".join(boxes))
    assert is_faststart(tmp_path / "x.mp4") is expected


def test_faststart_of_real_files(tmp_path):
    assert is_faststart(clip(tmp_path / "fast.mp4", "-movflags", "+faststart"))
    assert not is_faststart(clip(tmp_path / "slow.mp4"))
    assert not is_faststart(Path(__file__))
