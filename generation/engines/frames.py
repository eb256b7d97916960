"""Frames on their way from the engine process to the finish stage: a ring in anonymous shared memory.

The memory has no name: it is passed as a file descriptor and gone when the last process that has it is, killed
or not. It does not count against `/dev/shm`, which containers keep at 64 MB.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from generation.engines.base import Frame, Sound

CHANNELS = 3
RING_BYTES = 256 * 2**20
"""At most this much memory holds frames that are not encoded yet, however long the clip."""


class FrameRing:
    """Room for `slots` frames of `height` × `width` × 3 bytes; frame i lies in slot i mod slots.

    It carries bytes only; that a slot is full, or free again, is said over the pipe between the processes.
    """

    def __init__(self, descriptor: int, width: int, height: int, slots: int) -> None:
        self.descriptor = descriptor
        self.width, self.height, self.slots = width, height, slots
        self.frame_bytes = width * height * CHANNELS
        self.memory = mmap.mmap(descriptor, self.frame_bytes * slots)

    @classmethod
    def create(cls, width: int, height: int, frames: int) -> FrameRing:
        """A new ring with room for all `frames`, or for as many as `RING_BYTES` holds (two at least)."""
        slots = min(frames, max(2, RING_BYTES // (width * height * CHANNELS)))
        descriptor = _anonymous_file()
        os.ftruncate(descriptor, width * height * CHANNELS * slots)
        return cls(descriptor, width, height, slots)

    def slot(self, index: int) -> memoryview:
        """The bytes of frame `index`."""
        start = (index % self.slots) * self.frame_bytes
        return memoryview(self.memory)[start : start + self.frame_bytes]

    def close(self) -> None:
        """Give the memory back, as far as this process is concerned."""
        self.memory.close()
        os.close(self.descriptor)


class RingSink:
    """The engine's end of the ring: a `FrameSink`.

    `announce(count)` says that so many frames are written; `wait_for_room(index)` returns once frame `index`
    may be written, or raises `Cancelled`. `keep_sound(samples, rate)` takes the clip's sound, if it has any.
    """

    def __init__(
        self,
        ring: FrameRing,
        announce: Callable[[int], None],
        wait_for_room: Callable[[int], None],
        keep_sound: Callable[[Sound, int], None],
    ) -> None:
        import numpy as np

        self._pictures = np.frombuffer(ring.memory, dtype=np.uint8).reshape(
            ring.slots, ring.height, ring.width, CHANNELS
        )
        self._announce, self._wait_for_room, self._keep_sound = announce, wait_for_room, keep_sound
        self.written = 0
        # New memory is slow to write: the system finds and clears each page when it is first touched, which takes
        # ten times as long as the copying itself. Touched now, it is there before the first frame is.
        self._touching = threading.Thread(target=self._touch, name="ring", daemon=True)
        self._touching.start()

    def write(self, frame: Frame) -> None:
        expected = self._pictures.shape[1:]
        if frame.shape != expected or frame.dtype != self._pictures.dtype:
            raise ValueError(
                f"a frame must be uint8 of shape {expected}, but is {frame.dtype} of shape {frame.shape}"
            )
        self._wait_for_room(self.written)
        self._pictures[self.written % len(self._pictures)] = frame
        self.written += 1
        self._announce(self.written)

    def sound(self, samples: Sound, rate: int) -> None:
        if samples.ndim != 2 or samples.dtype.name != "int16":
            raise ValueError(
                f"sound must be int16 of shape (samples, channels), but is {samples.dtype} of {samples.shape}"
            )
        self._keep_sound(samples, rate)

    def _touch(self) -> None:
        """Read a byte of every page: to read one makes it, too, and spoils no frame."""
        self._pictures.reshape(-1)[:: mmap.PAGESIZE].max()  # without Python's lock: numpy lets go of it

    def close(self) -> None:
        """Let go of the ring's memory; nothing can be written any more."""
        self._touching.join()
        self._pictures = self._pictures[:0].copy()


def _anonymous_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("mutoscope-frames", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:  # elsewhere: a file that has no name any more
        return os.dup(file.fileno())
