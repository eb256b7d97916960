"""Pictures and clips made for the tests."""

import io
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pillow_heif
from PIL import Image

from assets.inspection import Limits
from mutoscope.media import ffmpeg_executable

pillow_heif.register_heif_opener()

COFFEE = Path(__file__).parents[2] / "platform/mutoscope/demo/coffee.png"
LIMITS = Limits()

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encoded(image: Image.Image, codec: str, **options: Any) -> bytes:
    target = io.BytesIO()
    image.save(target, codec, **options)
    return target.getvalue()


def photograph(codec: str, size: tuple[int, int] = (320, 240), **options: Any) -> bytes:
    with Image.open(COFFEE) as image:
        return encoded(image.convert("RGB").resize(size), codec, **options)


def quarters(mode: str = "RGB", size: tuple[int, int] = (160, 96)) -> Image.Image:
    """Red and green above, blue and white below."""
    width, height = size
    image = Image.new("RGB", size, RED)
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    image.paste(WHITE, (width // 2, height // 2, width, height))
    return image.convert(mode)


def corners(image: Image.Image) -> list[Any]:
    """The colours inside the four corners, in reading order."""
    width, height = image.size
    return [image.getpixel(place) for place in ((8, 8), (width - 9, 8), (8, height - 9), (width - 9, height - 9))]


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def close(color: Any, expected: Any, tolerance: int = 6) -> bool:
    return len(color) == len(expected) and all(
        abs(a - b) <= tolerance for a, b in zip(color, expected, strict=True)
    )


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(size: tuple[int, int], depth: int, color_type: int, rows: bytes, *extra: bytes) -> bytes:
    """A PNG made by hand, for what Pillow cannot write."""
    header = struct.pack(">IIBBBBB", *size, depth, color_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + b"".join(extra) + chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def clip(path: Path, *options: str, seconds: float = 1.0, sound: bool = True) -> Path:
    """A test pattern of 128 × 96 pixels at 24 frames a second, with a tone, in the container of ``path``."""
    inputs = ["-f", "lavfi", "-i", f"testsrc2=size=128x96:rate=24:duration={seconds}"]
    if sound:
        inputs += ["-f", "lavfi", "-i", f"sine=frequency=440:duration={seconds}"]
    run_ffmpeg(*inputs, *options, str(path))
    return path


def run_ffmpeg(*arguments: str) -> None:
    command = [ffmpeg_executable(), "-nostdin", "-y", "-v", "error", *arguments]
    subprocess.run(command, check=True, timeout=60)
