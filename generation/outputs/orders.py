"""What a job's frames become, in the terms of the encoders."""

from __future__ import annotations

from generation.models import Job
from generation.outputs.cropping import Crop
from generation.outputs.encoding import Form, Shape, Source, shape_of


def source_of(job: Job) -> Source:
    """The frames once they are cropped to the job's size."""
    return Source(job.width, job.height, job.fps, job.frames)


def form_of(job: Job) -> Form:
    """The form that the clip is delivered in."""
    return Form(job.format, job.quality, fps=job.output_fps, loop=job.loop)


def delivered(job: Job) -> Shape:
    """The clip's size, rate and length as it is delivered. Raises `ImpossibleForm`."""
    return shape_of(source_of(job), form_of(job))


def crop_of(job: Job) -> Crop:
    """From what the engine makes to what was asked for."""
    return Crop(job.engine_width, job.engine_height, job.width, job.height)
