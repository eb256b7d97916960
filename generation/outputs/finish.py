"""The finish stage: frames → encode → check → sign → store → publish. Numbered steps, in this order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

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
    Form,
    Overlay,
    Target,
    add_sound,
    carries_sound,
    encode,
    previews,
    profile_of,
    serves_as_master,
    shape_of,
)
from generation.outputs.encoding import check as check_file
from generation.outputs.orders import delivered, form_of, source_of
from generation.outputs.passing import finished_frames
from generation.outputs.provenance import claim_of, sign
from generation.outputs.quality.check import Check, Checker
from generation.outputs.visible import overlays_for
from generation.worker import inputs
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
    overlays = _visible_marks(hold, scratch)
    # 1. Encode, while the frames are still being made: what is delivered, and what other forms are made from.
    clip, master = scratch / f"clip.{profile_of(form).extension}", scratch / "master.mp4"
    targets = [Target(clip, form, overlays)]
    if overlays or not serves_as_master(form):
        targets.append(Target(master, MASTER))
    checker, digest = Checker(job), hashlib.sha256()
    encode(finished_frames(stream, job, checker, digest), source, targets)

    # 2. Only a job whose engine ended well, and that is still ours, gets any further.
    done = stream.wait_until_complete()
    recipe = {**done.recipe, "frames_sha256": digest.hexdigest()}
    after = hold.since_claim(done.at)
    hold.insist(lambda: attempts.start_finishing(job, recipe, steps=done.steps, after=after))

    # 3. Lay the sound under them, and check that they are what was asked for, by decoding them, and worth having.
    for target in targets:
        if done.sound is not None and carries_sound(target.form):
            silent = target.path.rename(target.path.with_stem(f"silent-{target.path.stem}"))
            add_sound(silent, done.sound, target.path, source=source, form=target.form)
        check_file(target.path, source, target.form, with_sound=done.sound is not None)
    first, last = (inputs.fetched(scratch, name) for name in (inputs.FIRST, inputs.LAST))
    check = checker.check(first=first, last=last)

    # 4. What the library shows of it; from the master, marked anew, where the clip is no video.
    seen_in, to_lay = (clip, ()) if profile_of(form).is_video else (master, _visible_marks(hold, scratch, MASTER))
    shown = previews(seen_in, scratch, to_lay)

    # 5. Sign what is handed out: it says for itself who made it, and with what.
    claim = claim_of(job, first, recipe=recipe, last_picture=last)
    asset = _asset(job, provenance=sign(clip, profile_of(form).media_type, claim), is_marked=bool(overlays))
    sign(shown.poster, "image/jpeg", claim)
    asset.size_bytes, asset.sha256 = clip.stat().st_size, _digest(clip)
    asset.strip_tiles = shown.tiles
    with Image.open(shown.poster) as poster:
        thumbnail, asset.color = thumbnail_of(poster), average_color(poster)

    # 6. Store, under a name of this attempt's own, which the attempt notes before anything is there.
    hold.insist(lambda: attempts.note_clip(job, asset.pk))
    try:
        _store(hold, asset.file, clip.name, clip.read_bytes)
        if master.exists():
            _store(hold, asset.master, master.name, master.read_bytes)
        _store(hold, asset.thumbnail, "thumbnail.webp", lambda: thumbnail.data)
        _store(hold, asset.poster, shown.poster.name, shown.poster.read_bytes)
        _store(hold, asset.strip, shown.strip.name, shown.strip.read_bytes)
        _store(hold, asset.preview, shown.preview.name, shown.preview.read_bytes)
        # 7. Publish: asset, check, success and event in one transaction.
        _publish(hold, asset, check)
    except DatabaseError:
        # Whether it was committed is not known: a file too many is better than a clip without one.
        raise
    except BaseException:
        discard_files(asset)
        raise


def _visible_marks(hold: Hold, scratch: Path, form: Form | None = None) -> tuple[Overlay, ...]:
    """The marks that the workspace's clips carry now, for a clip in that form; None is the job's."""
    job = hold.job
    shape = shape_of(source_of(job), form or form_of(job))
    return patiently(
        lambda: overlays_for(job.workspace_id, shape.width, shape.height, scratch, seconds=shape.seconds),
        wanted=hold.is_certain,
        what="the visible mark",
    )


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


def _subject(job: Job) -> str:
    """What the clip shows, for its name: the picture it was made from, else the beginning of its prompt."""
    return Path(job.picture.name).stem if job.picture else job.prompt


def _digest(clip: Path) -> str:
    with clip.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _asset(job: Job, *, provenance: dict[str, Any], is_marked: bool) -> Asset:
    profile, shape = profile_of(form_of(job)), delivered(job)
    return Asset(
        workspace_id=job.workspace_id,
        created_by_id=job.created_by_id,
        kind=Asset.Kind.VIDEO,
        origin=Asset.Origin.GENERATED,
        name=f"{slugify(_subject(job))[:80] or job.pk}-{job.model}.{profile.extension}",
        media_type=profile.media_type,
        uploaded_type=profile.media_type,
        width=shape.width,
        height=shape.height,
        seconds=shape.seconds,
        fps=shape.fps,
        is_marked=is_marked,
        provenance=provenance,
    )
