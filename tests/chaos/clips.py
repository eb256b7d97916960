"""What must hold of the clips: one for each success, none for others, and with the very frames that were due."""

from __future__ import annotations

import hashlib
import io
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from assets.models import Asset
from generation.models import Job
from mutoscope.media import ffmpeg_executable
from tests.chaos.stories import Breach, Story

TOLERANCE = 6
"""Levels of 255 by which encoding (8-bit 4:2:0, CRF 18) may change a flat colour."""


def breaches(told: list[Story]) -> Iterator[Breach]:
    yield from _owned(told)
    twins: defaultdict[tuple[object, ...], dict[str, Story]] = defaultdict(dict)
    for story in told:
        if story.job.output is not None:
            twins[_request(story.job)].setdefault(story.job.recipe.get("frames_sha256", ""), story)
    for different in twins.values():
        first, *others = different.values()
        for other in others:
            yield Breach("wrong", f"{first.told} and {other.told} asked for the same and got different clips")
        for story in different.values():
            for complaint in _look(story):
                yield Breach("wrong", f"{story.told}: {complaint}")


def _owned(told: list[Story]) -> Iterator[Breach]:
    """A clip for each success and none for others; each belongs to one job, and none to nobody."""
    owners: defaultdict[object, list[Story]] = defaultdict(list)
    for story in told:
        job, clip = story.job, story.job.output
        if (job.state == Job.State.SUCCEEDED) != (clip is not None):
            yield Breach("wrong", f"{story.told} is {job.state}, and its clip is {clip and clip.pk}")
        if clip is not None:
            owners[clip.pk].append(story)
    for clip_id, those in owners.items():
        if len(those) > 1:
            yield Breach("doubled", f"the clip {clip_id} belongs to {' and '.join(s.told for s in those)}")
    for clip in Asset.objects.filter(origin=Asset.Origin.GENERATED).exclude(pk__in=list(owners)):
        yield Breach("doubled", f"the clip {clip.pk} ({clip.file}) belongs to no job that succeeded")


def _request(job: Job) -> tuple[object, ...]:
    """Jobs that agree in this must have the same frames, byte for byte, however often they were broken off."""
    picture = job.picture.sha256 if job.picture else ""
    words = job.prompt if job.model != "still" else ""
    return (job.model, job.mode, picture, words, job.size, job.frames, job.fps, job.steps, job.seed, job.preset)


def _look(story: Story) -> Iterator[str]:
    """Decode the clip; what is wrong with it."""
    job, clip = story.job, story.job.output
    assert clip is not None
    try:
        with clip.file.open("rb") as file:
            content = file.read()
    except FileNotFoundError:
        return  # `proof.storage` tells
    if hashlib.sha256(content).hexdigest() != clip.sha256 or len(content) != clip.size_bytes:
        yield f"its file {clip.file} is not the one that was published"
    frames = _decoded(content, job.width, job.height)
    if len(frames) != job.frames:
        yield f"its clip has {len(frames)} frames, but {job.frames} were due"
    elif job.model == "still":
        yield from _wrong_colors(job, frames)


def _wrong_colors(job: Job, frames: NDArray[np.uint8]) -> Iterator[str]:
    """The scripted engine's colours come from a chain of all steps: one left out or done twice changes them."""
    state = _chain(job)
    if job.recipe.get("state") != state.hex():
        yield "its engine did not do each step exactly once"
    for index, frame in enumerate(frames):
        due = np.frombuffer(hashlib.sha256(state + index.to_bytes(4, "big")).digest()[:3], np.uint8)
        if np.abs(np.median(frame.reshape(-1, 3), axis=0) - due).max() > TOLERANCE:
            yield f"frame {index} of its clip must be {due.tolist()}, but is {frame[0, 0].tolist()}"


def _chain(job: Job) -> bytes:
    """What the steps of the job must come to, reckoned without the engine."""
    picture = b""
    if job.picture:
        with job.picture.file.open("rb") as file, Image.open(io.BytesIO(file.read())) as image:
            picture = image.tobytes()
    state = hashlib.sha256(picture + job.seed.to_bytes(8, "big")).digest()
    for step in range(job.steps or 1):
        state = hashlib.sha256(state + step.to_bytes(4, "big")).digest()
    return state


@cache
def _decoded(content: bytes, width: int, height: int) -> NDArray[np.uint8]:
    """All frames, RGB; none where it does not decode."""
    done = subprocess.run(
        [ffmpeg_executable(), "-v", "error", "-i", "pipe:", "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:"],
        input=content, capture_output=True, check=False,
    )  # fmt: skip
    whole = len(done.stdout) // (width * height * 3) * (width * height * 3)
    return np.frombuffer(done.stdout[:whole], np.uint8).reshape(-1, height, width, 3)
