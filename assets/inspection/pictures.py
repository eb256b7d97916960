"""Inspecting a picture: what it truly is, and the form in which it is served.

The served picture is made anew from the pixels: sRGB, 8 bits a channel, upright, and nothing else. What
cameras and editors add (position, names, comments, thumbnails, profiles) stays in the upload, which is
never served.
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO, Literal

import pillow_heif
from PIL import Image, ImageCms

from assets.inspection.content import PICTURES, dimensions, is_sequence, webp_is_lossless
from assets.inspection.rules import Limits, Refusal, Rejected, check_dimensions

THUMBNAIL_SIDE = 512
"""The longest side of a thumbnail, in pixels."""

_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION_TAG = 0x0112

# Only the picture itself is wanted: the depth maps, gain maps and previews of phones are never decoded.
pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)


@dataclass(frozen=True)
class Encoded:
    """A file in memory; ``extension`` has its dot."""

    data: bytes
    media_type: str
    extension: str


@dataclass(frozen=True)
class Picture:
    """An accepted picture.

    ``media_type``, ``sha256`` (hexadecimal) and ``size`` (bytes) are those of the upload; ``width`` and
    ``height`` (pixels) those of the upright picture. ``clean`` is what may be served, ``thumbnail`` a small
    WebP of it, ``color`` its average as "#rrggbb", to fill the place while it loads.
    """

    kind: Literal["image"]
    media_type: str
    sha256: str
    size: int
    width: int
    height: int
    has_alpha: bool
    clean: Encoded
    thumbnail: Encoded
    color: str


def check_header(media_type: str, head: bytes, file: BinaryIO, limits: Limits) -> None:
    """Refuse by its header alone a picture that is too large, too small or animated.

    Raises Rejected.
    """
    stated = dimensions(media_type, head, file)
    if stated is not None:
        check_dimensions(*stated, limits)
    if is_sequence(head):
        raise _animated()


def decode_picture(file: BinaryIO, *, media_type: str, sha256: str, size: int, limits: Limits) -> Picture:
    """Decode and re-encode a picture whose header was checked. Raises Rejected."""
    with _untrusted_decoding():
        lossless = media_type == "image/png" or (media_type == "image/webp" and webp_is_lossless(file))
        if media_type == "image/png":
            _check_png_is_whole(file)
        image = _upright_srgb(file, media_type, limits)
        width, height = image.size
        clean = _encode(image, lossless=lossless)
        thumbnail = thumbnail_of(image)
    return Picture(
        kind="image",
        media_type=media_type,
        sha256=sha256,
        size=size,
        width=width,
        height=height,
        has_alpha=image.mode == "RGBA",
        clean=clean,
        thumbnail=thumbnail,
        color=average_color(image),
    )


def thumbnail_of(image: Image.Image) -> Encoded:
    """A small WebP of ``image`` (RGB or RGBA), which, to save a copy, is itself shrunk."""
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    target = BytesIO()
    image.save(target, "WEBP", quality=80)
    return Encoded(target.getvalue(), "image/webp", ".webp")


def average_color(image: Image.Image) -> str:
    """The average of ``image`` as "#rrggbb"; what is transparent counts as little as it is seen."""
    # The sum is taken over a small copy: RGBA is resized with premultiplied alpha, so the weights hold.
    pixels = image.resize((32, 32), Image.Resampling.BOX).convert("RGBA").tobytes()
    alphas = pixels[3::4]
    weight = sum(alphas)
    if weight == 0:
        return "#000000"
    red, green, blue = (
        round(sum(value * alpha for value, alpha in zip(pixels[channel::4], alphas, strict=True)) / weight)
        for channel in range(3)
    )
    return f"#{red:02x}{green:02x}{blue:02x}"


@contextmanager
def _untrusted_decoding() -> Iterator[None]:
    try:
        yield
    except Rejected:
        raise
    # Decoders that are fed hostile bytes raise whatever comes to hand (OSError, SyntaxError, struct.error,
    # MemoryError, IndexError ...), and every one of them means the same: this file cannot be read.
    except Exception as error:
        message = "The picture is damaged or cut short: it could not be read to its end."
        raise Rejected(Refusal.TRUNCATED, message) from error


def _animated() -> Rejected:
    message = "Pictures must be stills, but this one is animated. Save the frame you want as a still."
    return Rejected(Refusal.ANIMATED, message)


def _check_png_is_whole(file: BinaryIO) -> None:
    """Check every checksum up to the end mark: Pillow shows a PNG without its end as if it were whole.

    Raises ValueError, or struct.error where the file ends within a chunk.
    """
    file.seek(8)
    kind = b""
    while kind != b"IEND":
        size, kind = struct.unpack(">I4s", file.read(8))
        checksum = zlib.crc32(kind)
        while size > 0 and (block := file.read(min(size, 1024**2))):
            checksum = zlib.crc32(block, checksum)
            size -= len(block)
        if struct.unpack(">I", file.read(4))[0] != checksum:
            raise ValueError(f"the checksum of the {kind!r} chunk is wrong")


def _upright_srgb(file: BinaryIO, media_type: str, limits: Limits) -> Image.Image:
    """The picture as RGB, or as RGBA where something is truly transparent."""
    file.seek(0)
    with Image.open(file, formats=[PICTURES[media_type]]) as opened:
        # A JPEG with further pictures behind the first (MPO of phones) is a still, and so is an HEIC that
        # holds several: the first, or the one marked as primary, is the picture. Sequences of HEIC and AVIF
        # were known by their brand.
        if media_type in {"image/png", "image/webp"} and getattr(opened, "is_animated", False):
            raise _animated()
        check_dimensions(*opened.size, limits)  # again: what the decoder sees is what costs memory
        opened.load()
        orientation = _orientation(opened)
        profile = opened.info.get("icc_profile")
        image = _eight_bit(opened, _png_depth(file) if media_type == "image/png" else 8)
    image = _to_srgb(image, profile) if profile else image
    if image.mode not in {"RGB", "RGBA"}:
        image = image.convert("RGB")
    if image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255):
        image = image.convert("RGB")
    if orientation in _TRANSPOSITIONS:
        image = image.transpose(_TRANSPOSITIONS[orientation])
    image.info.clear()  # Pillow writes some of it (comment, profile, transparency) by itself when saving
    return image


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    # EXIF that cannot be read, for whatever reason, does not make the pixels worse.
    except Exception:  # noqa: BLE001
        return 1


def _png_depth(file: BinaryIO) -> int:
    """Bits a channel, from the header."""
    file.seek(24)
    return file.read(1)[0]


def _eight_bit(image: Image.Image, depth: int) -> Image.Image:
    """The picture in L, RGB, RGBA or CMYK, 8 bits a channel, its transparency made a channel."""
    transparency = image.info.get("transparency")
    if image.mode.startswith("I;16"):
        # Pillow's own conversion to L clips everything above 255 to white; "point" scales.
        image = image.point(lambda value: value * (1 / 256)).convert("L")
    if transparency is not None and image.mode in {"L", "RGB"} and depth != 8:
        # tRNS names a colour on the scale of the file, while Pillow has brought the pixels to 8 bits.
        channels = transparency if isinstance(transparency, tuple) else (transparency,)
        scaled = tuple(_scale_to_8_bit(value, depth) for value in channels)
        image.info["transparency"] = scaled if image.mode == "RGB" else scaled[0]
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image if image.mode in {"L", "RGB", "CMYK"} else image.convert("RGB")


def _scale_to_8_bit(value: int, depth: int) -> int:
    return value >> 8 if depth == 16 else value * 255 // (2**depth - 1)


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert by the embedded profile; one that is broken, or is not for this kind of picture, is ignored,
    as browsers do.
    """
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        target = ImageCms.createProfile("sRGB")
        if {"RGB": "RGB", "RGBA": "RGB", "L": "GRAY", "CMYK": "CMYK"}[image.mode] != space:
            return image
        if space == "RGB":
            ImageCms.profileToProfile(image, source, target, inPlace=True)  # leaves alpha as it is
            return image
        return ImageCms.profileToProfile(image, source, target, outputMode="RGB") or image
    except (ImageCms.PyCMSError, OSError, ValueError, struct.error):
        return image


def _encode(image: Image.Image, *, lossless: bool) -> Encoded:
    target = BytesIO()
    if image.mode == "RGB" and not lossless:
        image.save(target, "JPEG", quality=95, subsampling="4:4:4")
        return Encoded(target.getvalue(), "image/jpeg", ".jpg")
    image.save(target, "PNG", compress_level=4)  # against the default 6: half the time, 5 % more bytes
    return Encoded(target.getvalue(), "image/png", ".png")
