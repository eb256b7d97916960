"""The finish stage: frames → encode → check → store → publish. Numbered steps, in this order."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from django.core.files.base import ContentFile
from django.db import DatabaseError
from django.db.models.fields.files import FieldFile
from django.utils.text import slugify
from PIL import Image

from assets.inspection import average_color, thumbnail_of
from assets.models import Asset
from assets.services import discard_files
from generation import attempts
from generation.engines.base import EngineError
from generation.models import Job
from generation.outputs.cropping import middle
from generation.outputs.encode import add_sound, encode_mp4
from generation.outputs.quality.check import CLIP_BROKEN, Check, Checker
from generation.worker.leases import Hold
from generation.worker.patience import patiently
from generation.worker.stream import FrameStream
from mutoscope.media import MediaError, is_faststart, probe

FIRST, LAST = "picture", "last-picture"
"""What the local copies of a job's pictures are called, but for their suffixes."""


def make_clip(hold: Hold, stream: FrameStream, scratch: Path) -> None:
    """Turn an attempt's frames into a clip in the library, and the job into a success.

    Raises `EngineError` when the clip is no good or the storage does not take it, `Abandoned` or `attempts.Lost`
    when it is no longer wanted; in each case nothing is left behind in storage, or recovery can find it by the
    attempt's `clip_id`. When the database goes away in the middle of publishing, the files stay, for the clip may
    be published.
    """
    job = hold.job
    # 1. Encode, while the frames are still being made.
    clip = scratch / "clip.mp4"
    checker = Checker(job)
    poster = _Poster(stream, job, checker)
    made = {"width": job.engine_width, "height": job.engine_height}
    encode_mp4(poster.watch(), clip, **made, fps=job.fps, crop=(job.width, job.height))

    # 2. Only a job whose engine ended well, and that is still ours, gets any further.
    done = stream.wait_until_complete()
    hold.insist(
        lambda: attempts.start_finishing(
            job, done.recipe, steps=done.steps, seconds_ago=time.monotonic() - done.at
        )
    )

    # 3. Lay the sound under it, and check that it is what was asked for, by decoding it, and worth having.
    if done.sound is not None:
        silent, clip = clip, scratch / "clip-with-sound.mp4"
        add_sound(silent, done.sound, clip, seconds=job.frames / job.fps)
    check_clip(clip, job, with_sound=done.sound is not None)
    check = checker.check(first=_local(scratch, FIRST), last=_local(scratch, LAST))

    # 4. Store, under a name of this attempt's own, which the attempt notes before anything is there.
    asset = _asset(job, clip)
    thumbnail, asset.color = thumbnail_of(poster.image()), average_color(poster.image())
    hold.insist(lambda: attempts.note_clip(job, asset.pk))
    try:
        _store(hold, asset.file, "clip.mp4", clip.read_bytes)
        _store(hold, asset.thumbnail, "poster.webp", lambda: thumbnail.data)
        # 5. Publish: asset, check, success and event in one transaction.
        _publish(hold, asset, check)
    except DatabaseError:
        # Whether it was committed is not known: a file too many is better than a clip without one.
        raise
    except BaseException:
        discard_files(asset)
        raise


def _store(hold: Hold, field: FieldFile, name: str, content: Callable[[], bytes]) -> None:
    """Put the content into the asset's file, patiently. Raises `EngineError` (machine) or `attempts.Lost`."""

    place = field.field.generate_filename(field.instance, name)
    tried = False

    def save() -> None:
        nonlocal tried
        if tried:
            # A part of it may be there: a storage that refuses files may refuse to let go of them, too. Left
            # there, it would have this try take another name.
            field.storage.delete(place)
        tried = True
        field.save(name, ContentFile(content()), save=False)

    try:
        patiently(save, wanted=hold.is_certain, what="the clip")
    except BaseException:
        with suppress(Exception):  # else it is found by the attempt's `clip_id`
            field.storage.delete(place)
        raise


def _publish(hold: Hold, asset: Asset, check: Check) -> None:
    """Publish the clip. Raises `attempts.Lost` when it certainly was not, else the database's error."""
    failed: list[DatabaseError] = []

    def succeed() -> None:
        try:
            attempts.succeed(hold.job, asset, check)
        except DatabaseError as error:
            failed.append(error)
            raise

    try:
        hold.insist(succeed)
    except attempts.Lost:
        if failed:
            raise failed[-1] from None
        raise


def check_clip(path: Path, job: Job, *, with_sound: bool = False) -> None:
    """Raise `EngineError` unless the file is the clip that was asked for: codecs, size, length, layout."""
    try:
        media = probe(path, strict=True)
    except MediaError as error:
        raise EngineError(CLIP_BROKEN, f"the clip does not decode: {error}", "ours") from error
    video, sound = media.video, media.audio.codec if media.audio else None
    found = (
        (video.codec, video.pix_fmt, video.width, video.height, video.frames, sound, is_faststart(path))
        if video
        else None
    )
    wanted = ("h264", "yuv420p", job.width, job.height, job.frames, "aac" if with_sound else None, True)
    if found != wanted:
        raise EngineError(
            CLIP_BROKEN,
            "codec, pixel format, width, height, frames, codec of the sound and moov-first must be "
            f"{wanted}, but are {found}",
            "ours",
        )


class _Poster:
    """Keeps the middle frame as it passes by, and lets no more frames pass than the clip is to have.

    Each of them is shown to `checker`.
    """

    def __init__(self, stream: FrameStream, job: Job, checker: Checker) -> None:
        self._stream, self._job, self._checker = stream, job, checker
        self._frame = b""

    def watch(self) -> Iterator[memoryview]:
        for index, frame in enumerate(self._stream):
            if index == self._job.frames // 2:
                self._frame = bytes(frame)
            if index < self._job.frames:
                self._checker.see_made(frame)
                yield frame

    def image(self) -> Image.Image:
        job = self._job
        whole = Image.frombytes("RGB", (job.engine_width, job.engine_height), self._frame)
        left, top = middle(whole.size, (job.width, job.height))
        return whole.crop((left, top, left + job.width, top + job.height))


def _local(scratch: Path, name: str) -> Path | None:
    """The picture that the worker has fetched for the engine; None where the job has none."""
    return next(scratch.glob(f"{name}.*"), None)


def _subject(job: Job) -> str:
    """What the clip shows, for its name: the picture it was made from, else the beginning of its prompt."""
    return Path(job.picture.name).stem if job.picture else job.prompt


def _asset(job: Job, clip: Path) -> Asset:
    with clip.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Asset(
        workspace_id=job.workspace_id,
        created_by_id=job.created_by_id,
        kind=Asset.Kind.VIDEO,
        origin=Asset.Origin.GENERATED,
        name=f"{slugify(_subject(job))[:80] or job.pk}-{job.model}.mp4",
        media_type="video/mp4",
        uploaded_type="video/mp4",
        size_bytes=clip.stat().st_size,
        sha256=digest,
        width=job.width,
        height=job.height,
        seconds=job.frames / job.fps,
        fps=job.fps,
    )
