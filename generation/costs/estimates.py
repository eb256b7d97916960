"""What was published, or follows from the catalog, about how much video an hour of a GPU makes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import Field

from generation import catalog
from generation.catalog.schema import Model
from mutoscope import tables
from mutoscope.tables import Table

HD_PIXELS = 1280 * 720
"""What a second of "720p video" has in each frame: seconds of other sizes count by their pixels."""

_Positive = Annotated[float, Field(gt=0)]
_Range = tuple[_Positive, _Positive]


@dataclass(frozen=True, slots=True)
class Throughput:
    """Seconds of finished 720p video that an hour of a GPU makes with a model, and how that is known."""

    model: str
    gpu: str
    """As in the price book."""
    seconds_per_hour: float
    low: float
    high: float
    is_measured: bool
    """Measured on this installation's own attempts; otherwise an estimate."""
    samples: int
    """Attempts that it was measured on; 0 for an estimate."""
    source: str


class _Rate(Table):
    model: str
    gpu: str
    seconds_per_hour: _Range


class _Clip(Table):
    model: str
    gpu: str
    video_seconds: _Positive
    gpu_seconds: _Range


class _Reference(Table):
    gpu: str
    yardstick: str


class Estimates(Table):
    """The file `estimates.toml`."""

    source: str
    reference: _Reference
    aliases: dict[str, str]
    throughput: list[_Rate]
    clip: list[_Clip]

    def published(self, model: str, gpu: str) -> Throughput | None:
        """What was published for the model on the GPU; the middle of a range is the likely value."""
        for row in self.throughput:
            if (row.model, row.gpu) == (model, gpu):
                low, high = row.seconds_per_hour
                return Throughput(model, gpu, (low + high) / 2, low, high, False, 0, self.source)
        for clip in self.clip:
            if (clip.model, clip.gpu) == (model, gpu):
                hourly = 3600 * clip.video_seconds
                low, high = (hourly / seconds for seconds in reversed(clip.gpu_seconds))
                likely = hourly / (sum(clip.gpu_seconds) / 2)
                return Throughput(model, gpu, likely, low, high, False, 0, self.source)
        return None

    def of_catalog(self, model: Model, gpu: str) -> Throughput | None:
        """By the catalog's seconds a step on the reference GPU, carried over to other GPUs by the yardstick."""
        here = self.published(self.reference.yardstick, gpu)
        there = self.published(self.reference.yardstick, self.reference.gpu)
        reference = _hourly(model)
        if not (here and there and reference):
            return None
        likely = reference * here.seconds_per_hour / there.seconds_per_hour
        source = f"the catalog's seconds a step on an {self.reference.gpu}"
        if gpu != self.reference.gpu:
            source += f", carried over to the {gpu} by what is published for {self.reference.yardstick}"
        return Throughput(model.slug, gpu, likely, likely, likely, False, 0, source)


def _hourly(model: Model) -> float | None:
    """Seconds of 720p video an hour by the catalog, at its default size and length; None without denoising."""
    size = model.size(model.default_size)
    if not (model.diffusion and model.sampling and size and model.speed.seconds_per_step):
        return None
    clip = model.sampling.steps * model.speed.seconds_per_step
    return 3600 / clip * model.frames.default_seconds * size.width * size.height / HD_PIXELS


@cache
def estimates() -> Estimates:
    """The shipped estimates, read once."""
    return tables.read(Path(__file__).with_name("estimates.toml"), Estimates)


def model_called(name: str) -> Model | None:
    """The model of the catalog with this slug, or the one that the name is an alias of."""
    models = catalog.models()
    return models.get(name) or models.get(estimates().aliases.get(name.lower(), ""))
