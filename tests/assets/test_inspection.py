"""Accepted uploads come out right: colours, orientation, transparency, and nothing private."""

import hashlib
import io
import struct
import subprocess
import sys

import pytest
from PIL import Image, ImageCms

from assets.inspection import Clip, Picture, inspect_upload
from tests.assets.samples import (
    BLUE,
    COFFEE,
    GREEN,
    LIMITS,
    RED,
    WHITE,
    chunk,
    clip,
    close,
    corners,
    encoded,
    opened,
    photograph,
    png,
    quarters,
)

QUARTERS = [RED, GREEN, BLUE, WHITE]
SECRET = "the-secret-of-alice"


def inspect(data: bytes) -> Picture:
    picture = inspect_upload(io.BytesIO(data), "", LIMITS)
    assert isinstance(picture, Picture)
    clean = opened(picture.clean.data)
    assert clean.size == (picture.width, picture.height)
    assert clean.mode == ("RGBA" if picture.has_alpha else "RGB")
    assert clean.get_format_mimetype() == picture.clean.media_type
    return picture


def assert_quarters(data: bytes, tolerance: int = 6) -> Picture:
    picture = inspect(data)
    found = corners(opened(picture.clean.data))
    assert all(close(a, b, tolerance) for a, b in zip(found, QUARTERS, strict=True)), found
    return picture


def tagged_exif(orientation: int = 1) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = SECRET
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (48.0, 51.0, 29.0)
    return exif


def test_the_facts_of_a_photograph():
    data = COFFEE.read_bytes()
    picture = inspect(data)
    assert (picture.kind, picture.media_type) == ("image", "image/png")
    assert (picture.width, picture.height, picture.size) == (600, 400, len(data))
    assert picture.sha256 == hashlib.sha256(data).hexdigest()
    with Image.open(COFFEE) as original:
        assert opened(picture.clean.data).tobytes() == original.convert("RGB").tobytes()
        means = original.convert("RGB").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert close(bytes.fromhex(picture.color[1:]), means, 2)
    thumbnail = opened(picture.thumbnail.data)
    assert (thumbnail.format, thumbnail.size) == ("WEBP", (512, 341))
    assert close(bytes.fromhex(picture.color[1:]), thumbnail.resize((1, 1)).getpixel((0, 0)), 6)


@pytest.mark.parametrize(
    ("codec", "options", "media_type", "served"),
    [
        ("JPEG", {"quality": 95}, "image/jpeg", "image/jpeg"),
        ("JPEG", {"quality": 95, "progressive": True}, "image/jpeg", "image/jpeg"),
        ("PNG", {}, "image/png", "image/png"),
        ("WEBP", {"quality": 95}, "image/webp", "image/jpeg"),
        ("WEBP", {"lossless": True}, "image/webp", "image/png"),
        ("WEBP", {"lossless": True, "exif": tagged_exif()}, "image/webp", "image/png"),
        ("AVIF", {"quality": 95}, "image/avif", "image/jpeg"),
        ("HEIF", {"quality": 95}, "image/heic", "image/jpeg"),
    ],
)
def test_every_accepted_format(codec, options, media_type, served):
    picture = assert_quarters(encoded(quarters(), codec, **options), tolerance=12)
    assert (picture.media_type, picture.clean.media_type) == (media_type, served)
    assert picture.clean.extension == {"image/jpeg": ".jpg", "image/png": ".png"}[served]
    assert not picture.has_alpha


def test_a_served_jpeg_keeps_its_colours_at_full_resolution():
    picture = inspect(photograph("JPEG"))
    sampling = {layer[1:3] for layer in Image.open(io.BytesIO(picture.clean.data)).layer}
    assert sampling == {(1, 1)}


@pytest.mark.parametrize("brand", [b"mif1", b"heix"])
def test_heic_under_its_other_brands(brand):
    data = photograph("HEIF").replace(b"ftypheic", b"ftyp" + brand, 1)
    assert inspect(data).media_type == "image/heic"


ORIENTED = {
    1: [RED, GREEN, BLUE, WHITE],
    2: [GREEN, RED, WHITE, BLUE],
    3: [WHITE, BLUE, GREEN, RED],
    4: [BLUE, WHITE, RED, GREEN],
    5: [RED, BLUE, GREEN, WHITE],
    6: [BLUE, RED, WHITE, GREEN],
    7: [WHITE, GREEN, BLUE, RED],
    8: [GREEN, WHITE, RED, BLUE],
}


@pytest.mark.parametrize("orientation", ORIENTED)
@pytest.mark.parametrize("codec", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
def test_orientation_is_applied_once(codec, orientation):
    data = encoded(quarters(), codec, exif=tagged_exif(orientation).tobytes(), quality=95)
    picture = inspect(data)
    assert (picture.width, picture.height) == ((160, 96) if orientation < 5 else (96, 160))
    for image in (opened(picture.clean.data), opened(picture.thumbnail.data)):
        found = corners(image)
        assert all(close(a, b, 14) for a, b in zip(found, ORIENTED[orientation], strict=True)), found
        assert image.getexif().get(0x0112) is None


def test_an_heic_is_turned_by_its_own_box_alone():
    """HEIC has a rotation of its own, and its standard says that the one in EXIF does not count."""
    data = encoded(quarters(), "HEIF", exif=tagged_exif(6).tobytes(), quality=95)
    assert b"irot" in data
    assert_quarters(data.replace(b"irot", b"free"), tolerance=12)


@pytest.mark.parametrize("codec", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
def test_nothing_but_pixels_is_served(codec):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    xmp = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a>{SECRET}</a></x:xmpmeta>'.encode()
    options = {"exif": tagged_exif(), "icc_profile": profile, "quality": 90}
    if codec == "JPEG":
        options["comment"] = SECRET
    if codec != "PNG":
        options["xmp"] = xmp
    data = encoded(quarters(), codec, **options)
    if codec == "PNG":
        text = chunk(b"tEXt", b"Comment\0" + SECRET.encode()) + chunk(
            b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp
        )
        data = data[:33] + text + data[33:]
    assert SECRET.encode() in data
    picture = inspect(data)
    for served in (picture.clean.data, picture.thumbnail.data):
        for mark in (
            SECRET.encode(),
            b"Exif",
            b"EXIF",
            b"eXIf",
            b"xmpmeta",
            b"ICC",
            b"iCCP",
            b"tEXt",
            b"Photoshop",
        ):
            assert mark not in served, mark
        info = opened(served).info
        assert not {"exif", "xmp", "icc_profile", "comment", "photoshop"} & set(info)


@pytest.mark.parametrize("with_alpha", [False, True])
def test_an_embedded_profile_is_applied_and_dropped(with_alpha):
    """A profile whose red and blue are exchanged: unmistakable when it is not applied."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    image = quarters("RGBA" if with_alpha else "RGB")
    if with_alpha:
        image.putpixel((0, 0), (255, 0, 0, 77))
    picture = inspect(encoded(image, "PNG", icc_profile=bytes(profile)))
    found = corners(opened(picture.clean.data))
    opaque = (255,) if with_alpha else ()
    expected = [(*color, *opaque) for color in (BLUE, GREEN, RED, WHITE)]
    assert all(close(a, b, 8) for a, b in zip(found, expected, strict=True)), found
    if with_alpha:
        assert opened(picture.clean.data).getpixel((0, 0))[3] == 77


@pytest.mark.parametrize("profile", [b"no profile", b"\0" * 128 + b"acsp" * 40])
def test_a_broken_profile_is_ignored(profile):
    assert_quarters(encoded(quarters(), "PNG", icc_profile=profile))


def test_a_profile_for_another_kind_of_picture_is_ignored():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = inspect(encoded(quarters("L"), "JPEG", icc_profile=profile, quality=95))
    assert close(corners(opened(picture.clean.data))[3], WHITE)


def test_cmyk_without_a_profile():
    """What Pillow writes is inverted and marked so, as Adobe's programs do."""
    data = encoded(quarters("CMYK"), "JPEG", quality=98)
    assert b"Adobe" in data
    picture = assert_quarters(data, tolerance=12)
    assert picture.clean.media_type == "image/jpeg"


def test_cmyk_ink_is_dark():
    ink = Image.new("CMYK", (80, 80), (0, 0, 0, 255))
    assert close(opened(inspect(encoded(ink, "JPEG")).clean.data).getpixel((40, 40)), (0, 0, 0))
    cyan = Image.new("CMYK", (80, 80), (255, 0, 0, 0))
    assert close(opened(inspect(encoded(cyan, "JPEG")).clean.data).getpixel((40, 40)), (0, 255, 255), 8)


def test_ycck_as_photoshop_writes_it():
    """YCCK: inverted inks, three of them stored as luma and chroma; the Adobe marker says transform 2."""
    # Red is the inks (0, 255, 255, 0); inverted (255, 0, 0, 255). YCCK stores the complement of the first
    # three, (0, 255, 255), as YCbCr (179, 171, 0). Pillow inverts once more while it writes.
    data = encoded(Image.new("CMYK", (80, 80), (255 - 179, 255 - 171, 255, 0)), "JPEG", quality=100)
    marker = data.index(b"Adobe") + 11
    assert data[marker] == 0
    ycck = data[:marker] + b"\2" + data[marker + 1 :]
    assert close(opened(inspect(ycck).clean.data).getpixel((40, 40)), RED)
    assert not close(opened(inspect(data).clean.data).getpixel((40, 40)), RED)


def cmyk_profile() -> bytes:
    """A CMYK profile by hand: a 2-point table whose every corner is black but paper white and pure cyan,
    which it maps to white and to a mid grey, as no formula without a profile would.
    """
    curve = b"".join(struct.pack(">H", value) for value in (0, 65535))
    corners_of_table = []
    for index in range(16):  # C M Y K, the last varies fastest
        lightness = {0b0000: 100.0, 0b1000: 50.0}.get(index, 0.0)
        corners_of_table.append(struct.pack(">HHH", round(lightness / 100 * 0xFF00), 0x8000, 0x8000))
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table = b"mft2" + bytes(4) + bytes([4, 3, 2, 0]) + identity + struct.pack(">HH", 2, 2)
    table += curve * 4 + b"".join(corners_of_table) + curve * 3
    tags = {b"A2B0": table, b"wtpt": b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)}
    directory, body = struct.pack(">I", len(tags)), b""
    offset = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        directory += name + struct.pack(">II", offset + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    size = offset + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02400000, b"prtr", b"CMYK", b"Lab ")
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + directory + body


def test_cmyk_with_a_profile():
    cyan = Image.new("CMYK", (80, 80), (255, 0, 0, 0))
    picture = inspect(encoded(cyan, "JPEG", quality=98, icc_profile=cmyk_profile()))
    assert close(opened(picture.clean.data).getpixel((40, 40)), (119, 119, 119), 12)


def ramp_16(channels: int) -> bytes:
    """80 rows of 80 pixels whose 16-bit values go from 0 to 65,535 along the row, in every channel."""
    row = b"".join(struct.pack(">H", x * 65535 // 79) * channels for x in range(80))
    return (b"\0" + row) * 80


@pytest.mark.parametrize(("color_type", "channels"), [(0, 1), (2, 3)])
def test_16_bits_keep_their_whole_range(color_type, channels):
    clean = opened(inspect(png((80, 80), 16, color_type, ramp_16(channels))).clean.data)
    for x in (0, 20, 40, 60, 79):
        level = x * 255 // 79
        assert close(clean.getpixel((x, 40)), (level, level, level), 1)


@pytest.mark.parametrize(("color_type", "channels"), [(4, 2), (6, 4)])
def test_16_bits_with_alpha(color_type, channels):
    clean = opened(inspect(png((80, 80), 16, color_type, ramp_16(channels))).clean.data)
    for x in (0, 20, 40, 60, 79):
        level = x * 255 // 79
        assert close(clean.getpixel((x, 40)), (level, level, level, level), 1)


@pytest.mark.parametrize(
    ("depth", "color_type", "row", "transparent"),
    [
        (1, 0, b"\xf0" * 10, struct.pack(">H", 1)),
        (2, 0, b"\xff\x00" * 10, struct.pack(">H", 3)),
        (4, 0, (b"\xff" * 2 + b"\x00" * 2) * 10, struct.pack(">H", 15)),
        (8, 0, (b"\xff" * 4 + b"\x00" * 4) * 10, struct.pack(">H", 255)),
        (16, 0, (b"\xff\xff" * 4 + b"\x00\x00" * 4) * 10, struct.pack(">H", 65535)),
        (8, 2, (b"\xff" * 12 + b"\x00" * 12) * 10, struct.pack(">HHH", 255, 255, 255)),
        (16, 2, (b"\xff" * 24 + b"\x00" * 24) * 10, struct.pack(">HHH", 65535, 65535, 65535)),
    ],
)
def test_a_colour_named_as_transparent(depth, color_type, row, transparent):
    """Four pixels white, which tRNS makes transparent, four black, and so on."""
    rows = (b"\0" + row) * 80
    picture = inspect(png((80, 80), depth, color_type, rows, chunk(b"tRNS", transparent)))
    clean = opened(picture.clean.data)
    assert picture.has_alpha
    assert [clean.getpixel((x, 40))[3] for x in (1, 5, 9, 13)] == [0, 255, 0, 255]
    assert clean.getpixel((5, 40)) == (0, 0, 0, 255)


def palette_picture() -> Image.Image:
    image = quarters().quantize(4)
    assert image.mode == "P"
    return image


def test_a_palette():
    assert assert_quarters(encoded(palette_picture(), "PNG")).clean.media_type == "image/png"


@pytest.mark.parametrize("as_bytes", [False, True])
def test_a_palette_with_transparency(as_bytes):
    image = palette_picture()
    red = image.getpixel((8, 8))
    alphas = bytes(100 if index == red else 255 for index in range(4))
    picture = inspect(encoded(image, "PNG", transparency=alphas if as_bytes else red))
    found = corners(opened(picture.clean.data))
    assert found[0][3] == (100 if as_bytes else 0)
    assert found[1:] == [(*color, 255) for color in (GREEN, BLUE, WHITE)]


@pytest.mark.parametrize("mode", ["1", "L"])
@pytest.mark.parametrize("codec", ["PNG", "JPEG", "WEBP", "AVIF"])
def test_grey_and_black_and_white(mode, codec):
    image = Image.new("L", (96, 96), 0)
    image.paste(255, (48, 0, 96, 96))
    clean = opened(inspect(encoded(image.convert(mode), codec, quality=95)).clean.data)
    assert close(clean.getpixel((8, 8)), (0, 0, 0))
    assert close(clean.getpixel((88, 8)), WHITE)


@pytest.mark.parametrize("codec", ["PNG", "WEBP", "AVIF", "HEIF"])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_stays(codec, mode):
    image = Image.new("RGBA", (128, 96), (200, 200, 200, 255))
    image.paste((200, 200, 200, 0), (0, 0, 64, 96))
    picture = inspect(encoded(image.convert(mode), codec, quality=95))
    assert picture.has_alpha
    assert (picture.clean.media_type, picture.clean.extension) == ("image/png", ".png")
    for served in (picture.clean, picture.thumbnail):
        found = opened(served.data)
        assert found.getpixel((8, 48))[3] < 6
        assert close(found.getpixel((120, 48)), (200, 200, 200, 255))


def test_alpha_that_hides_nothing_is_dropped():
    picture = assert_quarters(encoded(quarters("RGBA"), "PNG"))
    assert not picture.has_alpha


def test_the_colour_weighs_by_what_is_seen():
    image = Image.new("RGBA", (100, 100), (0, 0, 255, 0))
    image.paste((250, 10, 20, 255), (0, 0, 100, 10))
    assert close(bytes.fromhex(inspect(encoded(image, "PNG")).color[1:]), (250, 10, 20), 3)
    nothing = Image.new("RGBA", (100, 100), (9, 9, 9, 0))
    assert inspect(encoded(nothing, "PNG")).color == "#000000"


def test_an_mpo_of_a_phone_is_a_still():
    data = encoded(quarters(), "MPO", save_all=True, append_images=[Image.new("RGB", (160, 96))], quality=95)
    assert opened(data).n_frames == 2
    assert assert_quarters(data, tolerance=12).media_type == "image/jpeg"


def test_broken_exif_does_not_spoil_a_picture():
    data = encoded(quarters(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" + b"\xff" * 40, quality=95)
    assert_quarters(data, tolerance=12)


def test_the_content_decides_and_not_the_name():
    picture = inspect_upload(io.BytesIO(photograph("PNG")), "photo.jpg", LIMITS)
    assert isinstance(picture, Picture)
    assert (picture.media_type, picture.clean.extension) == ("image/png", ".png")


def test_the_file_stays_open_and_unchanged():
    file = io.BytesIO(photograph("JPEG"))
    before = file.getvalue()
    inspect_upload(file, "", LIMITS)
    assert file.getvalue() == before


def test_an_upload_that_is_on_disk_is_read_where_it_is(tmp_path, monkeypatch):
    path = clip(tmp_path / "a.mp4")
    monkeypatch.setattr("assets.inspection.clips._spool", None)
    with path.open("rb") as raw:

        class OnDisk:
            seek, read = raw.seek, raw.read

            def temporary_file_path(self) -> str:
                return str(path)

        video = inspect_upload(OnDisk(), "a.mp4", LIMITS)  # type: ignore[arg-type]
    assert isinstance(video, Clip)
    video.clean.file.close()


def test_importing_is_cheap():
    code = "import sys, assets.inspection; print(sorted({'numpy', 'cv2', 'torch', 'django'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "[]"
