"""Frames that are needed more than once, in a file on disk: a clip of ten seconds has no room in memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from generation.engines.base import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Buffer


class Spool:
    """Keeps frames of `frame_bytes` each as they pass by; the file has no name and is gone with the process.

    Raises `EngineError` (machine) when the disk is full.
    """

    def __init__(self, folder: Path, frame_bytes: int) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  # closed by `close`
        self._frame_bytes = frame_bytes
        self.frames = 0

    def keep(self, frames: Iterable[Buffer]) -> Iterator[Buffer]:
        """Pass the frames on, each once it is kept."""
        for frame in frames:
            self._write(frame)
            self.frames += 1
            yield frame

    def replay(self, order: Iterable[int]) -> Iterator[memoryview]:
        """Frames by their number; each is valid until the next one is asked for."""
        room = memoryview(bytearray(self._frame_bytes))
        for index in order:
            read = os.preadv(self._file.fileno(), [room], index * self._frame_bytes)
            if read != self._frame_bytes:
                raise EngineError("spool_broken", f"frame {index} was kept, but cannot be read again", "machine")
            yield room

    def close(self) -> None:
        """Give the disk its room back."""
        self._file.close()

    def _write(self, frame: Buffer) -> None:
        left = memoryview(frame).cast("B")
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise EngineError(
                "spool_full", f"the frames of the clip could not be kept on disk: {error}", "machine"
            ) from error
