"""What a job's frames become: as it is asked for, and in the terms of the encoders."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from assets.models import Asset
from assets.selectors import asset_of
from billing.entitlements import Entitlements
from generation.errors import ImpossibleForm, InvalidJob, one_of
from generation.models import Job
from generation.outputs.cropping import Crop
from generation.outputs.encoding import (
    MASTER,
    PROFILES,
    Form,
    Shape,
    Source,
    carries_sound,
    preset_of,
    profile_of,
    shape_of,
)
from mutoscope.accounts.models import Workspace
from mutoscope.errors import NotFound

OUTPUT_RATES = (48, 60)
"""Frames a second that a job's clip can be interpolated to."""


def usual_format(plan: Entitlements) -> str:
    """The format of a clip for which none is named: the platform's, unless the plan does not have it."""
    allowed = plan.output_formats
    return MASTER.format if not allowed or MASTER.format in allowed else allowed[0]


def form_asked(plan: Entitlements, wish: Form, *, fps: int) -> dict[str, Any]:
    """The job's columns for the form that is wished; an empty format or quality is the usual one.

    `fps` is the frames a second that the engine makes. Raises `InvalidJob`.
    """
    form = replace(wish, format=wish.format or usual_format(plan), quality=wish.quality or MASTER.quality)
    profile, _ = profile_of(form), preset_of(form)
    if form.fps is not None:
        rates = [rate for rate in OUTPUT_RATES if fps < rate <= profile.max_fps]
        if not rates:
            raise InvalidJob(
                f"output_fps must be left out: {profile.name} has no more than the clip's {fps} frames a second",
                field="output_fps",
            )
        if form.fps not in rates:
            raise InvalidJob(one_of("output_fps", rates, form.fps), field="output_fps")
    return {"format": form.format, "quality": form.quality, "output_fps": form.fps, "loop": form.loop}


def sound_asked(workspace: Workspace, sound_id: UUID | None, form: Form) -> Asset | None:
    """The sound that is to be laid under a clip in that form. Raises `InvalidJob`."""
    if sound_id is None:
        return None
    try:
        sound = asset_of(workspace, sound_id)
    except NotFound as error:
        raise InvalidJob(error.message, field="sound", code="sound_not_found") from error
    if sound.kind != Asset.Kind.AUDIO:
        raise InvalidJob(f"sound must be an audio asset, but {sound_id} is {sound.kind}", field="sound")
    if not carries_sound(form):
        rule = "a boomerang is silent" if form.loop else f"{profile_of(form).name} is silent"
        sounding = ", ".join(slug for slug, profile in PROFILES.items() if profile.sound)
        raise InvalidJob(
            f"{rule}, so sound must be left out; the formats with sound are {sounding}", field="sound"
        )
    return sound


def check_form(job: Job) -> None:
    """Whether the job's clip can have the form that it asks for. Raises `InvalidJob`."""
    try:
        delivered(job)
    except ImpossibleForm as error:
        field = "size" if error.field == "width" else error.field
        raise InvalidJob(error.message, field=field) from error


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
