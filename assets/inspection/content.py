"""Telling what a file is from its own bytes, before any decoder sees it.

File names and the types that browsers declare are never believed; they only serve to word a refusal.
"""

import re
import struct
from pathlib import PurePath
from typing import BinaryIO

from assets.inspection.rules import Refusal, Rejected

HEAD_BYTES = 4096
"""How much of the beginning of a file is looked at."""

PICTURES = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WEBP",
    "image/avif": "AVIF",
    "image/heic": "HEIF",
}
"""The pictures that are accepted, with Pillow's name of the format."""

_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_SEQUENCE_BRANDS = {b"avis", b"msf1", b"hevc", b"hevx", b"hevm", b"hevs"}
_NEUTRAL_BRANDS = {b"mif1", b"msf1"}
_OLD_QUICKTIME = {b"moov", b"mdat", b"wide", b"free", b"skip"}
_MAX_META_BYTES = 4 * 1024**2

_UNSUPPORTED = {
    b"GIF8": "a GIF, which is not supported: save the frame you want as PNG",
    b"%PDF": "a PDF document",
    b"BM": "a BMP picture, which is not supported: save it as PNG",
    b"II*\x00": "a TIFF or camera raw picture, which is not supported: export it as JPEG or PNG",
    b"MM\x00*": "a TIFF or camera raw picture, which is not supported: export it as JPEG or PNG",
    b"8BPS": "a Photoshop document: export it as PNG",
    b"PK\x03\x04": "a ZIP archive or an office document",
    b"\x1f\x8b": "a gzip archive",
    b"\x00\x00\x00\x0cJXL ": "a JPEG XL picture, which is not supported: save it as PNG",
    b"\xff\x0a": "a JPEG XL picture, which is not supported: save it as PNG",
    b"\x00\x00\x00\x0cjP  ": "a JPEG 2000 picture, which is not supported: save it as PNG",
}

_EXPECTED = {
    ".jpg": "a JPEG picture",
    ".jpeg": "a JPEG picture",
    ".png": "a PNG picture",
    ".webp": "a WebP picture",
    ".avif": "an AVIF picture",
    ".heic": "an HEIC picture",
    ".heif": "an HEIC picture",
    ".mp4": "an MP4 video",
    ".mov": "a QuickTime video",
    ".webm": "a WebM video",
    ".mkv": "a Matroska video",
    ".mp3": "an MP3 sound",
    ".wav": "a WAV sound",
    ".flac": "a FLAC sound",
    ".ogg": "an Ogg sound",
    ".aac": "an AAC sound",
    ".m4a": "an MPEG-4 sound",
}


def picture_type(head: bytes) -> str | None:
    """The media type of an accepted picture that begins with ``head``, or None."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    major, compatible = _brands(head)
    named = compatible if major in _NEUTRAL_BRANDS else {major}
    if named & _AVIF_BRANDS:
        return "image/avif"
    if named & _HEIC_BRANDS:
        return "image/heic"
    return None


def is_clip(head: bytes) -> bool:
    """Whether a file that begins with ``head`` looks like video or audio of a container accepted here."""
    if head[4:8] == b"ftyp":
        return picture_type(head) is None and _brands(head)[0] not in _NEUTRAL_BRANDS
    return (
        head.startswith((b"\x1aE\xdf\xa3", b"fLaC", b"OggS", b"ID3"))
        or (head.startswith(b"RIFF") and head[8:12] == b"WAVE")
        or head[4:8] in _OLD_QUICKTIME
        or _is_mpeg_audio(head)
    )


def is_sequence(head: bytes) -> bool:
    """Whether an AVIF or HEIC file that begins with ``head`` is an image sequence, not a still."""
    return _brands(head)[0] in _SEQUENCE_BRANDS


def refusal_of_unknown(head: bytes, filename: str, accepted: str) -> Rejected:
    """The refusal of a file that is of no accepted type; ``accepted`` lists in words those that are."""
    if _is_svg(head):
        return Rejected(
            Refusal.UNSUPPORTED_TYPE,
            "An SVG is not accepted: it is a program that draws, which can run scripts and load other files, "
            "and not pixels. Export it as PNG.",
        )
    found = next((words for magic, words in _UNSUPPORTED.items() if head.startswith(magic)), None)
    expected = _EXPECTED.get(PurePath(filename).suffix.lower())
    if expected is not None and not (found and "not supported" in found):
        is_what = f"it is {found}" if found else f"its content is {_in_words(head)}"
        message = f"The name of this file promises {expected}, but {is_what}. Accepted are {accepted}."
        return Rejected(Refusal.TYPE_MISMATCH, message)
    is_what = f"is {found}" if found else f"holds {_in_words(head)}"
    return Rejected(Refusal.UNSUPPORTED_TYPE, f"This file {is_what}. Accepted are {accepted}.")


def dimensions(media_type: str, head: bytes, file: BinaryIO) -> tuple[int, int] | None:
    """Width and height in pixels that the header of a picture states, or None where none is found.

    Nothing is decoded, so it costs a few kilobytes whatever the picture claims to be.
    """
    if media_type == "image/png" and head[12:16] == b"IHDR" and len(head) >= 24:
        width, height = struct.unpack(">II", head[16:24])
        return width, height
    if media_type == "image/jpeg":
        return _jpeg_dimensions(file)
    if media_type == "image/webp":
        return _webp_dimensions(head)
    if media_type in {"image/avif", "image/heic"}:
        return _heif_dimensions(file)
    return None


def webp_is_lossless(file: BinaryIO) -> bool:
    """Whether the (first) bitmap of a WebP file is coded without loss."""
    file.seek(12)
    while len(header := file.read(8)) == 8:
        kind, size = struct.unpack("<4sI", header)
        if kind in {b"VP8 ", b"VP8L"}:
            return bool(kind == b"VP8L")
        file.seek(size + size % 2, 1)
    return False


def _brands(head: bytes) -> tuple[bytes, set[bytes]]:
    """The major and the compatible brands of an ISO media file; empty for any other file."""
    if head[4:8] != b"ftyp":
        return b"", set()
    end = min(struct.unpack(">I", head[:4])[0], len(head))
    return head[8:12], {head[at : at + 4] for at in range(16, end - 3, 4)}


def _is_mpeg_audio(head: bytes) -> bool:
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    if head[1] & 0xF6 == 0xF0:  # ADTS: the layer is 0
        return True
    # Layer III or II, so that a UTF-16 byte order mark (FF FE, layer I) is not taken for sound.
    return head[1] & 0x06 in {0x02, 0x04} and head[2] & 0xF0 != 0xF0 and head[2] & 0x0C != 0x0C


def _is_svg(head: bytes) -> bool:
    text = head.decode("utf-16" if head[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8", "ignore")
    return re.match(r"\ufeff?\s*<", text) is not None and re.search(r"<(\w+:)?svg\b", text) is not None


def _in_words(head: bytes) -> str:
    if re.match(rb"\s*<(!doctype html|html)", head, re.IGNORECASE):
        return "a web page"
    if b"\x00" not in head and all(byte >= 32 or byte in b"\t\n\r\f\x1b" for byte in head):
        return "text"
    return "nothing that we recognise"


def _jpeg_dimensions(file: BinaryIO) -> tuple[int, int] | None:
    file.seek(2)
    while byte := file.read(1):
        if byte != b"\xff":
            continue
        while (marker := file.read(1)) == b"\xff":
            pass
        if not marker or marker[0] == 0xDA:  # the scan begins, so no frame header can follow
            return None
        if marker[0] == 0 or 0xD0 <= marker[0] <= 0xD9 or marker[0] == 1:  # markers without a segment
            continue
        length = file.read(2)
        if len(length) < 2:
            return None
        if 0xC0 <= marker[0] <= 0xCF and marker[0] not in {0xC4, 0xC8, 0xCC}:
            frame = file.read(5)
            if len(frame) < 5:
                return None
            height, width = struct.unpack(">HH", frame[1:])
            return width, height
        file.seek(max(0, struct.unpack(">H", length)[0] - 2), 1)
    return None


def _webp_dimensions(head: bytes) -> tuple[int, int] | None:
    kind, body = head[12:16], head[20:30]
    if len(body) < 10:
        return None
    if kind == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", body[6:10])
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None


def _heif_dimensions(file: BinaryIO) -> tuple[int, int] | None:
    """The largest image that the ``meta`` box describes (the others are tiles, thumbnails, alpha planes)."""
    position = 0
    while True:
        file.seek(position)
        header = file.read(16)
        if len(header) < 8:
            return None
        size, kind = struct.unpack(">I4s", header[:8])
        if kind == b"meta":
            break
        if size == 1 and len(header) == 16:
            size = struct.unpack(">Q", header[8:])[0]
        if size < 8:
            return None
        position += size
    file.seek(position)
    meta = file.read(min(size, _MAX_META_BYTES) or _MAX_META_BYTES)
    sizes = [struct.unpack(">II", found[1]) for found in re.finditer(rb"ispe\0{4}(.{8})", meta, re.DOTALL)]
    return max(sizes, key=lambda sides: sides[0] * sides[1], default=None)
