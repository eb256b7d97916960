"""The frames of one attempt, on their way from the engine's thread to the finish stage's thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generation.engines.frames import FrameRing


class Abandoned(Exception):
    """The attempt ended without a clip; the engine's side has settled what becomes of the job."""


@dataclass(frozen=True, slots=True)
class Made:
    """What the engine says of frames that are all made."""

    recipe: Mapping[str, Any]
    steps: int
    """Steps of this attempt."""
    at: float
    """When it was done, `time.monotonic()`."""
    sound: Path | None = None
    """What is laid under the clip: what the job brought, else what the engine made; None of a silent one."""


class FrameStream:
    """Frames in order, as they are made; and at the end, whether they are to become a clip.

    The engine's side calls `written`, then `complete` or `abandon`. The finish stage iterates, then calls
    `wait_until_complete`; it calls `reject` when it cannot go on, which the engine's side sees as `rejected`.
    """

    def __init__(self, ring: FrameRing, frames: int, on_taken: Callable[[int], None]) -> None:
        self.ring, self.frames = ring, frames
        self.rejected = False
        self._on_taken = on_taken
        self._written = 0
        self._made: Made | None = None
        self._abandoned = False
        self._changed = threading.Condition()

    def written(self, count: int) -> None:
        """So many frames have been made by now."""
        with self._changed:
            self._written = count
            self._changed.notify_all()

    @property
    def has_begun(self) -> bool:
        """Whether there are frames already."""
        return self._written > 0

    def complete(self, made: Made) -> None:
        """All frames are made."""
        with self._changed:
            self._made = made
            self._changed.notify_all()

    def abandon(self) -> None:
        """There will be no clip, unless the stream is complete already."""
        with self._changed:
            self._abandoned = self._made is None
            self._changed.notify_all()

    def reject(self) -> None:
        """The finish stage has failed: more frames are of no use."""
        self.rejected = True

    def __iter__(self) -> Iterator[memoryview]:
        """The bytes of each frame (height × width × 3, RGB), valid until the next one is asked for.

        Raises `Abandoned`.
        """
        for index in range(self.frames):
            with self._changed:
                self._changed.wait_for(lambda wanted=index: self._written > wanted or self._abandoned)  # type: ignore[misc]
                if self._abandoned:
                    raise Abandoned
            frame = self.ring.slot(index)
            try:
                yield frame
            finally:
                frame.release()
            self._on_taken(1)

    def wait_for_engine(self) -> None:
        """Return once the engine's side has ended, so that nobody writes into the ring any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._made or self._abandoned)

    def wait_until_complete(self) -> Made:
        """What the engine says once all frames are made. Raises `Abandoned`."""
        with self._changed:
            self._changed.wait_for(lambda: self._made or self._abandoned)
            if self._made is None:
                raise Abandoned
            return self._made
