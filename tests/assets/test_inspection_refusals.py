"""Refused uploads: with a clear sentence, at no cost, and with nothing left behind."""

import io
import os
import random
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from assets.inspection import Clip, Limits, Refusal, Rejected, inspect_upload
from tests.assets.samples import COFFEE, LIMITS, chunk, clip, encoded, photograph, png, quarters

ROOT = Path(__file__).parents[2]
FORMATS = ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"]


def refusal(data: bytes, name: str = "photo.jpg", limits: Limits = LIMITS) -> Rejected:
    """The refusal by both ways in, which must agree on its code; no file may be left behind."""
    before = set(Path(tempfile.gettempdir()).glob("mutoscope-*"))
    with pytest.raises(Rejected) as of_upload:
        inspect_upload(io.BytesIO(data), name, limits)
    assert set(Path(tempfile.gettempdir()).glob("mutoscope-*")) <= before
    assert str(of_upload.value) == of_upload.value.message
    assert of_upload.value.message.endswith(".")
    return of_upload.value


def test_empty():
    assert refusal(b"").code is Refusal.EMPTY


def test_too_large_is_refused_without_being_read():
    class Endless(io.RawIOBase):
        """Ten gigabytes, of which only the beginning may be looked at."""

        position = 0
        bytes_read = 0

        def seek(self, offset: int, whence: int = 0) -> int:
            self.position = 10_000_000_000 if whence == 2 else offset
            return self.position

        def read(self, size: int = -1) -> bytes:
            assert 0 < size <= 4096
            self.bytes_read += size
            return (b"\x89PNG\r\n\x1a\n" + bytes(size))[:size]

    file = Endless()
    with pytest.raises(Rejected, match=r"at most 67,108,864 bytes, but this one has 10,000,000,000\.") as caught:
        inspect_upload(file, "", LIMITS)  # type: ignore[arg-type]
    assert caught.value.code is Refusal.TOO_LARGE
    assert file.bytes_read == 4096


@pytest.mark.parametrize(("name", "kind"), [("a.mp4", "max_video_bytes"), ("a.mp3", "max_audio_bytes")])
def test_clips_have_limits_of_their_own(tmp_path, name, kind):
    data = clip(tmp_path / name).read_bytes()
    exact = Limits(max_picture_bytes=0, **{"max_video_bytes": 0, "max_audio_bytes": 0, kind: len(data)})
    accepted = inspect_upload(io.BytesIO(data), name, exact)
    assert isinstance(accepted, Clip)
    accepted.clean.file.close()
    short = Limits(**{"max_video_bytes": 10**9, "max_audio_bytes": 10**9, kind: len(data) - 1})
    with pytest.raises(Rejected) as caught:
        inspect_upload(io.BytesIO(data), name, short)
    assert caught.value.code is Refusal.TOO_LARGE


@pytest.mark.parametrize("codec", FORMATS)
@pytest.mark.parametrize("missing", [1, 2, 5, 12, 13, 100, "half", "most"])
def test_truncated(codec, missing):
    data = photograph(codec)
    kept = {"half": len(data) // 2, "most": len(data) // 20}.get(missing) or len(data) - int(missing)
    assert refusal(data[:kept]).code is Refusal.TRUNCATED


def test_a_png_with_a_wrong_checksum():
    data = bytearray(photograph("PNG"))
    data[data.index(b"IDAT") - 8] ^= 1
    assert refusal(bytes(data)).code is Refusal.TRUNCATED


@pytest.mark.parametrize(
    ("name", "content", "code", "words"),
    [
        (
            "photo.jpg",
            b"<!DOCTYPE html><html><script>",
            Refusal.TYPE_MISMATCH,
            "JPEG picture, but .* web page",
        ),
        ("photo.png", b"%PDF-1.7\n", Refusal.TYPE_MISMATCH, "PNG picture, but it is a PDF"),
        ("photo.webp", b"hello, this is text", Refusal.TYPE_MISMATCH, "WebP picture, but .* text"),
        ("photo.heic", b"\x00\x01\x02\x03" * 9, Refusal.TYPE_MISMATCH, "HEIC picture"),
        ("clip.mp4", b"PK\x03\x04" + b"\0" * 40, Refusal.TYPE_MISMATCH, "MP4 video, but .* ZIP"),
        ("photo.jpg", b"#EXTM3U\nfile:///etc/passwd\n", Refusal.TYPE_MISMATCH, "text"),
        ("notes.txt", b"hello, this is text", Refusal.UNSUPPORTED_TYPE, "holds text"),
        ("anim.gif", b"GIF89a" + b"\0" * 40, Refusal.UNSUPPORTED_TYPE, "GIF, which is not supported"),
        ("photo.jpg", b"GIF89a" + b"\0" * 40, Refusal.UNSUPPORTED_TYPE, "GIF, which is not supported"),
        ("photo.tif", b"II*\0" + b"\0" * 40, Refusal.UNSUPPORTED_TYPE, "TIFF"),
        ("photo.bmp", b"BM" + b"\0" * 40, Refusal.UNSUPPORTED_TYPE, "BMP"),
        ("utf16.txt", "hello".encode("utf-16"), Refusal.UNSUPPORTED_TYPE, "Accepted are"),
        ("drawing.svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>', Refusal.UNSUPPORTED_TYPE, "SVG .* PNG"),
        ("photo.png", b'\n<?xml version="1.0"?><!-- x --><svg:svg>', Refusal.UNSUPPORTED_TYPE, "SVG .* PNG"),
        ("a.svg", '<?xml version="1.0"?><svg>'.encode("utf-16"), Refusal.UNSUPPORTED_TYPE, "SVG .* PNG"),
        ("a.svg", "\ufeff<svg>".encode(), Refusal.UNSUPPORTED_TYPE, "SVG .* PNG"),
    ],
)
def test_other_types(name, content, code, words):
    refused = refusal(content, name)
    assert refused.code is code
    with pytest.raises(Rejected, match=words):
        raise refused


@pytest.mark.parametrize("codec", ["PNG", "WEBP", "AVIF"])
def test_animated(codec):
    frames = [quarters(), quarters().transpose(Image.Transpose.ROTATE_180)]
    refused = refusal(encoded(frames[0], codec, save_all=True, append_images=frames[1:]))
    assert refused.code is Refusal.ANIMATED
    assert "still" in refused.message


@pytest.mark.parametrize("brand", [b"hevc", b"msf1"])
def test_an_heic_sequence_is_animated(brand):
    data = photograph("HEIF").replace(b"ftypheic", b"ftyp" + brand, 1)
    assert refusal(data).code is Refusal.ANIMATED


def test_an_ogg_video_is_not_supported(tmp_path):
    data = clip(tmp_path / "a.ogg", "-c:v", "libtheora", "-c:a", "libvorbis").read_bytes()
    with pytest.raises(Rejected, match="accepted as MP4") as caught:
        inspect_upload(io.BytesIO(data), "a.ogg", LIMITS)
    assert caught.value.code is Refusal.UNSUPPORTED_TYPE


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm"])
def test_a_truncated_video_leaves_nothing_behind(tmp_path, monkeypatch, name):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    data = clip(tmp_path / name).read_bytes()
    with pytest.raises(Rejected) as caught:
        inspect_upload(io.BytesIO(data[: len(data) * 3 // 4]), name, LIMITS)
    assert caught.value.code is Refusal.TRUNCATED
    assert list(scratch.iterdir()) == []
    accepted = inspect_upload(io.BytesIO(data), name, LIMITS)
    assert isinstance(accepted, Clip)
    assert list(scratch.iterdir()) == []  # the clean copy has no name any more, and can be read all the same
    assert accepted.clean.file.read(4)
    accepted.clean.file.close()


def test_the_sentence_about_too_many_pixels():
    refused = refusal(png((60_000, 60_000), 8, 2, b""))
    assert refused.code is Refusal.TOO_MANY_PIXELS
    assert refused.message == (
        "Pictures may have at most 50,000,000 pixels, but this one has 60,000 × 60,000 = 3,600,000,000."
    )


@pytest.mark.parametrize(
    ("size", "code"),
    [
        ((64, 64), None),
        ((63, 640), Refusal.TOO_SMALL),
        ((640, 63), Refusal.TOO_SMALL),
        ((1000, 100), None),
        ((1001, 100), Refusal.TOO_MANY_PIXELS),
        ((200, 501), Refusal.TOO_MANY_PIXELS),
    ],
)
def test_dimensions_at_the_limits(size, code):
    data = encoded(Image.new("RGB", size), "PNG")
    limits = Limits(max_pixels=100_000, max_side=1000)
    if code is None:
        assert inspect_upload(io.BytesIO(data), "", limits).width == size[0]
    else:
        assert refusal(data, limits=limits).code is code


def huge(codec: str) -> bytes:
    """A real picture whose header claims about as many pixels as its format can express."""
    data = photograph(codec)
    if codec == "PNG":
        rows = zlib.compress(bytes(60_000 * 64), 9)  # the first 64 rows, for real
        header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    if codec == "JPEG":
        at = data.index(b"\xff\xc0") + 5
        return data[:at] + struct.pack(">HH", 65_500, 65_500) + data[at + 4 :]
    if codec == "WEBP":
        at = data.index(b"\x9d\x01\x2a") + 3
        return data[:at] + struct.pack("<HH", 16_383, 16_383) + data[at + 4 :]
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", 60_000, 60_000) + data[at + 8 :]


@pytest.mark.parametrize("codec", FORMATS)
def test_what_the_decoder_finds_is_checked_too(codec, monkeypatch):
    """A header that hides its dimensions from us does not get past the limits."""
    monkeypatch.setattr("assets.inspection.pictures.dimensions", lambda *arguments: None)
    assert refusal(photograph(codec), limits=Limits(max_pixels=10_000)).code is Refusal.TOO_MANY_PIXELS


MEASURE = """
import io, resource, sys
from assets.inspection import Limits, Rejected, inspect_upload
data = sys.stdin.buffer.read()
inspect_upload(io.BytesIO(open(sys.argv[1], "rb").read()), "", Limits())  # warms everything up
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    inspect_upload(io.BytesIO(data), "bomb", Limits())
except Rejected as refusal:
    print(refusal.code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def cost_of(data: bytes) -> tuple[str, int]:
    """The code of the refusal, and by how many kilobytes it raised the peak memory of a process."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(COFFEE)],
        input=data,
        capture_output=True,
        check=True,
        timeout=60,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f".{os.pathsep}platform"},
    )
    code, kilobytes = done.stdout.decode().split()
    return code, int(kilobytes)


@pytest.mark.parametrize("codec", FORMATS)
def test_a_pixel_bomb_costs_no_memory(codec):
    data = huge(codec)
    assert refusal(data).code is Refusal.TOO_MANY_PIXELS
    code, kilobytes = cost_of(data)
    assert code == "too_many_pixels"
    assert kilobytes < 4096


def test_a_text_bomb_costs_little_memory():
    """Compressed comments that unfold to a gigabyte."""
    bomb = zlib.compress(bytes(50_000_000), 9)
    texts = [chunk(b"zTXt", b"Comment%d\0\0" % number + bomb) for number in range(20)]
    data = png((80, 80), 8, 0, bytes(81 * 80), *texts)
    code, kilobytes = cost_of(data)
    assert code == "truncated"
    assert kilobytes < 16_384


def test_a_profile_bomb_costs_little_memory():
    data = png((80, 80), 8, 0, bytes(81 * 80), chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(200_000_000), 9)))
    code, kilobytes = cost_of(data)
    assert code == "truncated"
    assert kilobytes < 16_384


VALID = {codec: photograph(codec, (96, 64)) for codec in FORMATS} | {
    "PNG with tRNS": png((80, 80), 2, 0, (b"\0" + b"\xe4" * 20) * 80, chunk(b"tRNS", b"\0\3")),
    "PNG with a palette": encoded(quarters().quantize(4), "PNG", transparency=1),
    "CMYK": encoded(quarters("CMYK"), "JPEG"),
    "MPO": encoded(quarters(), "MPO", save_all=True, append_images=[quarters()]),
    "WebP with alpha": encoded(
        quarters("RGBA"), "WEBP", exif=b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0"
    ),
}


def survives(data: bytes) -> None:
    """Accepted or Rejected: any other exception fails the test that calls this."""
    try:
        inspected = inspect_upload(io.BytesIO(data), "photo.jpg", LIMITS)
    except Rejected:
        return
    if isinstance(inspected, Clip):
        inspected.clean.file.close()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", VALID)
def test_damage_ends_in_a_verdict(name):
    """Random damage, most of it near the beginning, where the structure is."""
    generator = random.Random(name)  # noqa: S311
    for _ in range(60):
        data = bytearray(VALID[name])
        reach = generator.choice([64, 400, len(data)])
        for _ in range(generator.choice([1, 3, 20])):
            at = generator.randrange(min(reach, len(data)))
            if (what := generator.random()) < 0.7:
                data[at] = generator.choice([0, 1, 127, 128, 255, generator.randrange(256)])
            elif what < 0.85:
                del data[at : at + generator.randrange(1, 40)]
            else:
                data[at:at] = generator.randbytes(generator.randrange(1, 40))
        survives(bytes(data))


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([data[:16] for data in VALID.values()]), st.binary(max_size=300))
def test_a_good_beginning_with_anything_behind_it_ends_in_a_verdict(beginning, rest):
    survives(beginning + rest)
