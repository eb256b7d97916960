"""Frames as engines make them, down to the size that was asked for."""

from __future__ import annotations

from dataclasses import dataclass

CHANNELS = 3


@dataclass(frozen=True, slots=True)
class Crop:
    """The middle of a frame, its corner on even pixels; all measures are pixels."""

    from_width: int
    from_height: int
    width: int
    height: int

    @property
    def left(self) -> int:
        """Pixels cut off at the left."""
        return _before(self.from_width, self.width)

    @property
    def top(self) -> int:
        """Pixels cut off at the top."""
        return _before(self.from_height, self.height)

    def apply(self, frame: memoryview) -> memoryview:
        """The middle of the frame's bytes (height × width × 3): a view of them where whole rows are kept."""
        line = self.from_width * CHANNELS
        rows = frame[self.top * line : (self.top + self.height) * line]
        if self.width == self.from_width:
            return rows
        begin, end = self.left * CHANNELS, (self.left + self.width) * CHANNELS
        return memoryview(b"".join(rows[at + begin : at + end] for at in range(0, len(rows), line)))


def _before(whole: int, kept: int) -> int:
    return ((whole - kept) // 2) & ~1
