"""A row of PNGs, as ffmpeg writes them one after another, into a ZIP: one picture in memory at a time."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import IO

SIGNATURE = b"\x89PNG\r\n\x1a\n"
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time a ZIP knows: the same pictures must give the same bytes whenever they are packed."""


def pack(pictures: IO[bytes], target: Path) -> int:
    """Write the pictures into `target` as `frame_00001.png` and on; returns how many they were.

    A picture that is cut off ends it: whoever wrote them says what was wrong.
    """
    count = 0
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:  # PNGs are packed already
        while picture := _next(pictures):
            count += 1
            archive.writestr(zipfile.ZipInfo(f"frame_{count:05d}.png", EPOCH), picture)
    return count


def _next(pictures: IO[bytes]) -> bytes:
    """The next picture's bytes; none at the end."""
    parts = [pictures.read(len(SIGNATURE))]
    if parts[0] != SIGNATURE:
        return b""
    while True:
        parts.append(head := pictures.read(8))
        if len(head) < 8:
            return b""
        length, kind = struct.unpack(">I4s", head)
        parts.append(body := pictures.read(length + 4))
        if len(body) < length + 4:
            return b""
        if kind == b"IEND":
            return b"".join(parts)
