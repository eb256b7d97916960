"""Frames that are needed more than once, or sooner than they can be encoded: in a file on disk, not in memory."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from generation.engines.base import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Buffer


class Spool:
    """Frames of `frame_bytes` each, kept by one thread and read by another.

    The file has no name and is gone with the process. Raises `EngineError` (machine) when the disk is full.
    """

    def __init__(self, folder: Path, frame_bytes: int) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  # closed by `close`
        self._frame_bytes = frame_bytes
        self._frames = 0
        self._changed = threading.Condition()

    def keep(self, frames: Iterable[Buffer]) -> None:
        """Keep frames behind those that are there."""
        for frame in frames:
            self._write(frame)
            with self._changed:
                self._frames += 1
                self._changed.notify_all()

    def replay(self, order: Iterable[int], stopped: threading.Event) -> Iterator[memoryview]:
        """Frames by their number, each as soon as it is there and valid until the next one is asked for.

        It ends early once it is `stopped`; who stops it says so with `wake`.
        """
        room = memoryview(bytearray(self._frame_bytes))
        for index in order:
            with self._changed:
                self._changed.wait_for(lambda wanted=index: self._frames > wanted or stopped.is_set())  # type: ignore[misc]
            if stopped.is_set():
                return
            read = os.preadv(self._file.fileno(), [room], index * self._frame_bytes)
            if read != self._frame_bytes:
                raise EngineError("spool_broken", f"frame {index} was kept, but cannot be read again", "machine")
            yield room

    def wake(self) -> None:
        """Have whoever waits for a frame look whether it is stopped."""
        with self._changed:
            self._changed.notify_all()

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
