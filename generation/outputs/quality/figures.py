"""What is measured in a clip: every figure with its range, its unit and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Look:
    """What a picture looks like on its own: the same is measured in the clip's frames and in its input picture.

    Shares of 0 to 1. Of a single picture the first three are 0 or 1; of a clip they are shares of its frames.
    """

    black: float
    """98 % of it is darker than a tenth of white: the rule of ffmpeg's `blackdetect`."""
    flat: float
    """All of it is nearly one colour: the standard deviation of each channel is below 2 of 255."""
    striped: float
    """Each row, or each column, is nearly one value, but the whole is not flat."""
    blank: float
    """Share of the area, in blocks, without any detail: the standard deviation in a block is below 0.75 of 255."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of one clip. What does not apply is None.

    All but `sharpness` are measured on thumbnails whose longer side is at most 160 pixels.
    """

    frames: int
    seconds: float
    look: Look
    picture: Look | None
    """Of the input picture, as the engine was to frame it: a black clip of a black picture is no fault."""

    still: float
    """Share of the steps from frame to frame without change anywhere, 0 to 1."""
    longest_still: float
    """The longest time without change, in seconds."""
    dynamic_degree: float | None
    """How fast the fastest 5 % of the picture move, in % of its longer side a second, on average over the sampled
    steps. As VBench's *dynamic degree* (Huang et al., 2024), with the optical flow of DIS (Kroeger et al., 2016)
    in RAFT's place. None of fewer than three frames."""
    flicker: float | None
    """Amplitude of brightness that alternates from frame to frame, in levels of 255: half of what is left, in
    cells of 16 pixels, of a frame less the mean of its neighbours moved half of the way to each other; the upper
    quartile of the sampled frames. VBench's *temporal flickering* takes plain differences, which only still scenes
    allow."""
    coherence: float | None
    """Share of the picture, 0 to 1, where the flow forth and the flow back agree (the test of Sundaram et al.,
    2010). Noise and boiling textures have no such flow."""
    smoothness: float | None
    """1 less the mean difference (0 to 1) of each sampled frame from what its neighbours make of it when they are
    moved half of the way to each other: VBench's *motion smoothness*, with DIS in AMT's place."""
    cuts: int
    """Sudden changes of the whole picture."""

    first_frame: float | None
    """Structural similarity (SSIM of Wang et al., 2004, over the three colours; -1 to 1) of the first frame and
    the input picture, of which the part is taken that the frame shows. None without a picture."""
    last_frame: float | None
    """The same of the last frame and the picture that the clip is to end on."""
    identity: float | None
    """How much of the subject of the first frame is seen again, looked for twice a second, 0 to 1: the mean of the
    share of its ORB features (Rublee et al., 2011) that are found again as one body, and of how much of its
    colours is still there (intersection of histograms). The subject is what stands out from the border (minimum
    barrier distance), else the middle. What VBench calls *subject consistency*, without its network. None where
    the subject has hardly any features, or the clip takes less than half a second."""
    sharpness: float
    """Variance of the Laplacian (Pech-Pacheco et al., 2000) of the brightness in the middle of the sampled frames,
    at full size; 0 or more, in squared levels. Only clips of the same picture and size compare."""

    def as_json(self) -> dict[str, Any]:
        """Plain numbers by `FIGURE_NAMES`, rounded to what they are worth."""
        looks = {**_part("", self.look), **_part(PICTURE, self.picture)}
        found = {name: looks[name] if name in looks else getattr(self, name) for name in FIGURE_NAMES}
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in found.items()}


PICTURE = "picture_"
"""Before the names of what the input picture looks like."""


def _part(prefix: str, look: Look | None) -> dict[str, float | None]:
    return {prefix + field.name: getattr(look, field.name, None) for field in fields(Look)}


def _names() -> Iterator[str]:
    for field in fields(Measured):
        if field.name in ("look", "picture"):
            yield from _part("" if field.name == "look" else PICTURE, None)
        else:
            yield field.name


FIGURE_NAMES = tuple(_names())
"""Of every figure, in the order in which they are defined above; the looks' are one each."""
