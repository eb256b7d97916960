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
from generation.models import Job
from generation.outputs.encoding import (
    MASTER,
    Target,
    add_sound,
    carries_sound,
    check,
    encode,
    previews,
    profile_of,
    serves_as_master,
)
from generation.outputs.orders import crop_of, delivered, form_of, source_of
from generation.worker.leases import Hold
from generation.worker.patience import patiently
from generation.worker.stream import FrameStream


def make_clip(hold: Hold, stream: FrameStream, scratch: Path) -> None:
    """Turn an attempt's frames into a clip in the library, and the job into a success.

    Raises `EngineError` when the clip is no good or the storage does not take it, `Abandoned` or `attempts.Lost`
    when it is no longer wanted; in each case nothing is left behind in storage, or recovery can find it by the
    attempt's `clip_id`. When the database goes away in the middle of publishing, the files stay, for the clip may
    be published.
    """
    job = hold.job
    source, form = source_of(job), form_of(job)
    # 1. Encode, while the frames are still being made: what is delivered, and what other forms are made from.
    clip, master = scratch / f"clip.{profile_of(form).extension}", scratch / "master.mp4"
    targets = [Target(clip, form)]
    if not serves_as_master(form):
        targets.append(Target(master, MASTER))
    poster = _Poster(stream, job)
    encode(poster.watch(), source, targets)

    # 2. Only a job whose engine ended well, and that is still ours, gets any further.
    done = stream.wait_until_complete()
    hold.insist(
        lambda: attempts.start_finishing(
            job, done.recipe, steps=done.steps, seconds_ago=time.monotonic() - done.at
        )
    )

    # 3. Lay the sound under them, and check that they are what was asked for, by decoding them.
    for target in targets:
        if done.sound is not None and carries_sound(target.form):
            silent = target.path.rename(target.path.with_stem(f"silent-{target.path.stem}"))
            add_sound(silent, done.sound, target.path, source=source, form=target.form)
        check(target.path, source, target.form, with_sound=done.sound is not None)
    shown = previews(clip if profile_of(form).is_video else master, scratch)

    # 4. Store, under a name of this attempt's own, which the attempt notes before anything is there.
    asset = _asset(job, clip)
    thumbnail, asset.color = thumbnail_of(poster.image()), average_color(poster.image())
    asset.strip_tiles = shown.tiles
    hold.insist(lambda: attempts.note_clip(job, asset.pk))
    try:
        _store(hold, asset.file, clip.name, clip.read_bytes)
        if master.exists():
            _store(hold, asset.master, master.name, master.read_bytes)
        _store(hold, asset.thumbnail, "poster.webp", lambda: thumbnail.data)
        _store(hold, asset.poster, shown.poster.name, shown.poster.read_bytes)
        _store(hold, asset.strip, shown.strip.name, shown.strip.read_bytes)
        _store(hold, asset.preview, shown.preview.name, shown.preview.read_bytes)
        # 5. Publish: asset, success and event in one transaction.
        _publish(hold, asset)
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


def _publish(hold: Hold, asset: Asset) -> None:
    """Publish the clip. Raises `attempts.Lost` when it certainly was not, else the database's error."""
    failed: list[DatabaseError] = []

    def succeed() -> None:
        try:
            attempts.succeed(hold.job, asset)
        except DatabaseError as error:
            failed.append(error)
            raise

    try:
        hold.insist(succeed)
    except attempts.Lost:
        if failed:
            raise failed[-1] from None
        raise


class _Poster:
    """Keeps the middle frame as it passes by, and lets pass what the clip is to show: not all that is made is."""

    def __init__(self, stream: FrameStream, job: Job) -> None:
        self._stream, self._job = stream, job
        self._frame = b""

    def watch(self) -> Iterator[memoryview]:
        crop = crop_of(self._job)
        for index, frame in enumerate(self._stream):
            if index < self._job.frames:
                with crop.apply(frame) as shown:
                    if index == self._job.frames // 2:
                        self._frame = bytes(shown)
                    yield shown

    def image(self) -> Image.Image:
        return Image.frombytes("RGB", (self._job.width, self._job.height), self._frame)


def _subject(job: Job) -> str:
    """What the clip shows, for its name: the picture it was made from, else the beginning of its prompt."""
    return Path(job.picture.name).stem if job.picture else job.prompt


def _asset(job: Job, clip: Path) -> Asset:
    with clip.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    profile, shape = profile_of(form_of(job)), delivered(job)
    return Asset(
        workspace_id=job.workspace_id,
        created_by_id=job.created_by_id,
        kind=Asset.Kind.VIDEO,
        origin=Asset.Origin.GENERATED,
        name=f"{slugify(_subject(job))[:80] or job.pk}-{job.model}.{profile.extension}",
        media_type=profile.media_type,
        uploaded_type=profile.media_type,
        size_bytes=clip.stat().st_size,
        sha256=digest,
        width=shape.width,
        height=shape.height,
        seconds=shape.seconds,
        fps=shape.fps,
    )
