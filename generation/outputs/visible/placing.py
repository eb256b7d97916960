"""Where marks stand in the frame, and how those that drift move: two never cover each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, cos, pi, sin

SHORTEST, LONGEST = 4.0, 20.0
"""Seconds of one round of a drifting mark. The clip's own length where it lies between, so that loops close."""
USUAL = 8.0
"""Seconds of a round where the clip's length is not known."""
_SAMPLES = 360


@dataclass(frozen=True, slots=True)
class Room:
    """A part of the frame, in pixels: the left, top, right and bottom edges."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Room) -> bool:
        """Whether they have a point in common."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


@dataclass(frozen=True, slots=True)
class Wish:
    """A mark to be placed: its size in pixels, where it is wanted, and whether it may wander from there."""

    width: int
    height: int
    position: str
    drifts: bool


@dataclass(frozen=True, slots=True)
class Way:
    """Where a mark's upper left corner is: at the corner of `room`, or on an ellipse through the middles of its
    sides, once round in `period` seconds, beginning at `phase` (radians)."""

    room: Room
    period: float = 0.0
    phase: float = 0.0

    def at(self, seconds: float) -> tuple[float, float]:
        """The corner at that time, in pixels from the frame's upper left."""
        if not self.period:
            return self.room.left, self.room.top
        angle = 2 * pi * seconds / self.period + self.phase
        across, down = self.room.right - self.room.left, self.room.bottom - self.room.top
        return self.room.left + across * (1 - cos(angle)) / 2, self.room.top + down * (1 - sin(angle)) / 2

    @property
    def expressions(self) -> tuple[str, str]:
        """The same for ffmpeg's overlay filter: x and y, in pixels, by the time t."""
        if not self.period:
            return f"{self.room.left:g}", f"{self.room.top:g}"
        angle = f"(2*PI*t/{self.period:.6g}+{self.phase:.6g})"
        across, down = self.room.right - self.room.left, self.room.bottom - self.room.top
        return (
            f"{self.room.left:g}+{across:g}*(1-cos{angle})/2",
            f"{self.room.top:g}+{down:g}*(1-sin{angle})/2",
        )


class Frame:
    """A frame of `width` × `height` pixels in which marks keep `margin` pixels from the edges."""

    def __init__(self, width: int, height: int, margin: int) -> None:
        self.width, self.height, self.margin = width, height, margin

    def arrange(self, wishes: list[Wish], seconds: float | None = None) -> list[Way]:
        """A way for each of one or two marks, in their order; `seconds` is the clip's length.

        Where both want the same place, the second gives way. Marks are expected to be no higher than a quarter of
        the frame, and no wider than it less its margins: then there is always room.
        """
        period = round_in(seconds)
        if len(wishes) == 1:
            return [self._alone(wishes[0], period)]
        first, second = wishes
        if first.drifts and second.drifts:
            both = [self._drift(first, period, 0.0), self._drift(second, period, pi)]
            if not self._ever_meet(both, wishes, period):
                return both
            second = replace(second, drifts=False)
        if first.drifts:
            return list(reversed(self._beside(second, first, period)))
        return self._beside(first, second, period)

    def _alone(self, wish: Wish, period: float) -> Way:
        return self._drift(wish, period, 0.0) if wish.drifts else self._still(wish)

    def _beside(self, still: Wish, other: Wish, period: float) -> list[Way]:
        """One that stands still, and another that keeps clear of it, drifting or not."""
        if other.drifts and still.position == "center":  # in whose way it would be everywhere
            still = replace(still, position="bottom_right")
        stands = self._still(still)
        taken = self._covered(stands, still)
        if other.drifts:
            return [stands, self._drift(other, period, 0.0, beside=taken)]
        places = [other.position, *_WAYS_OUT[other.position]]
        ways = [self._still(replace(other, position=place)) for place in places]
        return [stands, next(way for way in ways if not self._covered(way, other).meets(taken))]

    def _still(self, wish: Wish) -> Way:
        free = self._corners(wish, self.margin, self.height - self.margin)
        x = {"left": free.left, "right": free.right}.get(
            wish.position.rpartition("_")[2], _middle(free.left, free.right)
        )
        y = {"top": free.top, "bottom": free.bottom}.get(
            wish.position.partition("_")[0], _middle(free.top, free.bottom)
        )
        return Way(Room(x, y, x, y))

    def _drift(self, wish: Wish, period: float, phase: float, *, beside: Room | None = None) -> Way:
        """Round the frame, or the part of it above or below what is taken."""
        top, bottom = self.margin, self.height - self.margin
        if beside is not None and beside.top > self.height / 2:
            bottom = int(beside.top) - self.margin
        elif beside is not None:
            top = ceil(beside.bottom) + self.margin
        return Way(self._corners(wish, top, bottom), period, phase)

    def _corners(self, wish: Wish, top: float, bottom: float) -> Room:
        """Where the mark's upper left corner may be: all of the mark is between the heights `top` and `bottom`."""
        right = max(self.margin, self.width - self.margin - wish.width)
        return Room(min(self.margin, right), top, right, max(top, bottom - wish.height))

    def _covered(self, way: Way, wish: Wish, seconds: float = 0.0) -> Room:
        x, y = way.at(seconds)
        return Room(x, y, x + wish.width, y + wish.height)

    def _ever_meet(self, ways: list[Way], wishes: list[Wish], period: float) -> bool:
        moments = (index * period / _SAMPLES for index in range(_SAMPLES))
        return any(
            self._covered(ways[0], wishes[0], moment).meets(self._covered(ways[1], wishes[1], moment))
            for moment in moments
        )


_WAYS_OUT = {
    "top_left": ["top_right", "bottom_left", "bottom_right"],
    "top_right": ["top_left", "bottom_right", "bottom_left"],
    "bottom_left": ["bottom_right", "top_left", "top_right"],
    "bottom_right": ["bottom_left", "top_right", "top_left"],
    "center": ["bottom_right", "top_right", "bottom_left"],
}
"""Where a mark goes that finds its place taken: across, then up or down."""


def round_in(seconds: float | None) -> float:
    """Seconds in which a drifting mark goes round once, in a clip of that length."""
    if seconds is None:
        return USUAL
    rounds = max(1, ceil(seconds / LONGEST))
    return max(SHORTEST, seconds / rounds)


def _middle(low: float, high: float) -> float:
    return float(round((low + high) / 2))
