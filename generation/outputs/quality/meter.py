"""Measures a clip frame by frame, as it passes on its way to the encoder.

Only what looks at pixels imports this module, when there are some: it brings numpy and OpenCV with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np

from generation.outputs.quality.figures import Look, Measured
from generation.outputs.quality.flow import Motion, MotionMeter
from generation.outputs.quality.identity import SubjectMeter
from generation.outputs.quality.thumbnails import (
    Luma,
    Picture,
    cells,
    framed,
    likeness,
    look_at,
    luma_of,
    thumbnail,
)

SAMPLES_A_SECOND = 6
"""How often motion and sharpness are measured."""
UNCHANGED = 0.05
"""Levels of 255 by which a step may change the cell of the picture that it changes most, and still be no
change."""
_CUT_LEVELS, _CUT_TIMES, _CUT_ALIKE = 8.0, 4.0, 0.6
"""A cut changes the picture by so many levels, by so many times as much as the median step, and leaves so little
correlation between the frames before and after it."""
_FLICKER = 0.75
"""The quantile of the samples that is a clip's flicker: a cut alone is none, flicker for a part of the time is."""
_SHARP_SIDE = 512
"""Pixels of the middle of the frame whose sharpness is measured."""


class Meter:
    """The figures of one clip of `width` × `height` pixels and `fps` frames a second.

    It keeps three thumbnails, the subject of the first frame and a few numbers a frame: some hundred bytes.
    """

    def __init__(self, width: int, height: int, fps: float) -> None:
        self.width, self.height, self.fps = width, height, fps
        self._every = max(1, round(fps / SAMPLES_A_SECOND))
        self._now_and_then = max(1, round(fps / 2))
        self._flow = MotionMeter()
        self._recent: list[Luma] = []
        self._looks: list[Look] = []
        self._changes: list[float] = []
        self._still: list[bool] = []
        self._alike: list[float] = []
        self._motions: list[Motion] = []
        self._sharpness: list[float] = []
        self._identity: list[float] = []
        self._first: Picture
        self._last: Picture
        self._subject: SubjectMeter

    def see(self, frame: Picture) -> None:
        """The next frame, height × width × 3, RGB, uint8. It may change once this returns."""
        if frame.shape != (self.height, self.width, 3) or frame.dtype != np.uint8:
            wanted = (self.height, self.width, 3)
            raise ValueError(f"a frame must be uint8 of shape {wanted}, but is {frame.dtype} of {frame.shape}")
        index = len(self._looks)
        small = thumbnail(frame)
        luma = luma_of(small)
        self._last = small
        self._looks.append(look_at(small, luma))
        if index == 0:
            self._first, self._subject = small, SubjectMeter(frame)
        elif index % self._now_and_then == 0 and self._subject.is_known:
            self._identity.append(self._subject.share_in(frame))
        if index % self._every == 0:
            self._sharpness.append(_sharpness(frame))
        self._step(luma)

    def _step(self, luma: Luma) -> None:
        if self._recent:
            before = self._recent[-1]
            difference = np.asarray(cv2.absdiff(before, luma), np.float32)
            change = float(difference.mean())
            self._changes.append(change)
            self._still.append(float(cells(difference).max()) <= UNCHANGED)
            self._alike.append(_correlation(before, luma) if change > _CUT_LEVELS else 1.0)
        if len(self._recent) == 2 and (len(self._looks) - 1) % self._every == 0:
            before, at = self._recent
            self._motions.append(self._flow.between(before, at, luma))
        self._recent = [*self._recent[-1:], luma]

    def result(
        self, *, first: Path | None = None, last: Path | None = None, made: tuple[int, int] | None = None
    ) -> Measured:
        """The figures, now that all frames have been seen.

        `first` and `last` are the pictures that the clip was to begin and to end on; `made` is the width and
        height that the engine made, of which the clip is the middle. Raises `EngineError` (user) for a picture
        that does not decode, and ValueError where there was no frame.
        """
        if not self._looks:
            raise ValueError("there must be a frame, but none was seen")
        begun, ended = (_Still(file, self.width, self.height, made) if file else None for file in (first, last))
        return Measured(
            frames=len(self._looks),
            seconds=len(self._looks) / self.fps,
            look=_mean_look(self._looks),
            picture=begun.look if begun else None,
            still=_mean(self._still),
            longest_still=_longest(self._still) / self.fps,
            **self._motion(),
            cuts=self._cuts(),
            first_frame=begun.likeness(self._first) if begun else None,
            last_frame=ended.likeness(self._last) if ended else None,
            identity=_mean(self._identity) if self._identity else None,
            sharpness=_mean(self._sharpness),
        )

    def _motion(self) -> dict[str, float | None]:
        """The figures that take motion; of fewer than three frames there are none."""
        found = self._motions

        def mean(name: str) -> float | None:
            return _mean([getattr(motion, name) for motion in found]) if found else None

        speed = mean("speed")
        return {
            "dynamic_degree": None if speed is None else 100 * self.fps * speed,
            "flicker": float(np.quantile([motion.flicker for motion in found], _FLICKER)) if found else None,
            "coherence": mean("coherence"),
            "smoothness": mean("smoothness"),
        }

    def _cuts(self) -> int:
        if not self._changes:
            return 0
        usual = float(np.median(self._changes))
        return sum(
            change > max(_CUT_LEVELS, _CUT_TIMES * usual) and alike < _CUT_ALIKE
            for change, alike in zip(self._changes, self._alike, strict=True)
        )


class _Still:
    """A picture that the clip was to begin or to end on."""

    def __init__(self, file: Path, width: int, height: int, made: tuple[int, int] | None) -> None:
        self._file = file
        self._small = framed(file, width, height, made or (width, height))

    @property
    def look(self) -> Look:
        return look_at(self._small, luma_of(self._small))

    def likeness(self, shown: Picture) -> float:
        return likeness(shown, self._small, self._file)


def _sharpness(frame: Picture) -> float:
    height, width = frame.shape[:2]
    down, across = max(0, height - _SHARP_SIDE) // 2, max(0, width - _SHARP_SIDE) // 2
    middle = np.ascontiguousarray(frame[down : height - down, across : width - across])
    return float(cv2.Laplacian(luma_of(middle), cv2.CV_32F).var())


def _correlation(one: Luma, other: Luma) -> float:
    """Of two thumbnails, -1 to 1; 0 where one is flat."""
    a, b = (values.astype(np.float32) - values.mean() for values in (one, other))
    spread = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / spread if spread else 0.0


def _mean_look(looks: Sequence[Look]) -> Look:
    names = [field.name for field in fields(Look)]
    return Look(**{name: _mean([getattr(look, name) for look in looks]) for name in names})


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _longest(steps: Sequence[bool]) -> int:
    """The length of the longest run of true ones."""
    return max((len(list(run)) for still, run in groupby(steps) if still), default=0)
