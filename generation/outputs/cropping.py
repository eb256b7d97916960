"""Where the finished clip lies in what the engine makes."""

from __future__ import annotations


def middle(made: tuple[int, int], shown: tuple[int, int]) -> tuple[int, int]:
    """Left and top of the middle that is shown, in pixels; sizes are width and height.

    As ffmpeg crops: rounded to even pixels.
    """
    left, top = ((outer - inner) // 2 & ~1 for outer, inner in zip(made, shown, strict=True))
    return left, top
