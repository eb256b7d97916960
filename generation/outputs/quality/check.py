"""The check of one job's clip: what is measured while its frames pass, held against what was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from generation import catalog
from generation.engines.base import EngineError
from generation.models import Job
from generation.outputs.quality.judgement import BROKEN, Judgement, judge, verdict_on
from generation.outputs.quality.motion import asks_for_motion

if TYPE_CHECKING:
    from generation.outputs.quality.thumbnails import Picture

CLIP_BROKEN = "clip_broken"
"""The code of the error of a clip that nobody wants to have: it is made once more, from another seed."""


@dataclass(frozen=True, slots=True)
class Check:
    """What was concluded about a clip, and the figures that it was concluded from: name → value."""

    judgement: Judgement
    figures: Mapping[str, Any] = field(default_factory=dict)


MALFORMED = Check(verdict_on(["malformed"]))
"""Of a file that does not decode, or is not what was asked for: nothing is measured in it."""


class BrokenClip(EngineError):
    """The clip is plainly broken, by `check`."""

    def __init__(self, check: Check) -> None:
        super().__init__(CLIP_BROKEN, check.judgement.sentence, "ours")
        self.check = check


class Checker:
    """Sees the frames of a job's clip as they pass, then says what it is worth."""

    def __init__(self, job: Job) -> None:
        # Not before frames are to be looked at: it brings numpy and OpenCV with it.
        from generation.outputs.quality.meter import Meter

        self._job = job
        self._meter = Meter(job.width, job.height, job.fps)

    def see(self, frame: Picture) -> None:
        """The next frame of the finished clip, height × width × 3, RGB, uint8. It may change once this returns."""
        self._meter.see(frame)

    def check(self, *, first: Path | None, last: Path | None) -> Check:
        """Measured and judged, after the last frame. `first` and `last` are the job's pictures on local disk.

        Raises `BrokenClip`.
        """
        job = self._job
        measured = self._meter.result(first=first, last=last, made=(job.engine_width, job.engine_height))
        model = catalog.models().get(job.model)
        judgement = judge(
            measured,
            moves=asks_for_motion(job.prompt, job.negative_prompt),
            ignore=model.quality.ignore if model else (),
        )
        check = Check(judgement, measured.as_json())
        if judgement.verdict == BROKEN:
            raise BrokenClip(check)
        return check
