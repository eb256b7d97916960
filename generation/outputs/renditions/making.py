"""Making one rendition: claimed with a lease, made from the clip's master, published while the lease holds."""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import DatabaseError, Error, close_old_connections, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from assets.models import Asset, Rendition
from generation.engines.base import EngineError
from generation.errors import ImpossibleForm
from generation.models import Job
from generation.outputs.encoding import (
    PROFILES,
    Form,
    Previews,
    Target,
    convert,
    previews,
    serves_as_master,
    shape_of,
)
from generation.outputs.renditions.asking import issue_ticket
from generation.outputs.renditions.files import FILES, MAX_ATTEMPTS, Made, fetch, form_of, store, stored_names
from generation.outputs.renditions.keeping import tell_failed
from generation.outputs.renditions.originals import Original
from generation.outputs.visible import digest_of, overlays_for

log = logging.getLogger(__name__)

RENEWALS = 3
"""Of a lease, in the time that it lasts."""

State = Rendition.State


class Lost(Exception):
    """The rendition is no longer this attempt's, or nobody's any more: the clip was deleted."""


def make_next() -> Rendition | None:
    """Make the rendition that has waited the longest, if one waits. Gives it as it is then."""
    rendition = claim()
    if rendition is None:
        return None
    try:
        with _kept(rendition), tempfile.TemporaryDirectory(prefix="mutoscope-rendition-") as scratch:
            made = _make(rendition, Path(scratch))
            try:
                publish(rendition, made)
            except DatabaseError:
                # Whether it was committed is not known: a file too many is better than a rendition without one.
                raise
            except BaseException:
                for name in made.names:
                    default_storage.delete(name)
                raise
    except Lost:
        log.info("rendition %s is no longer wanted of this process", rendition.pk)
    except ImpossibleForm as error:
        _fail(rendition, error.message, for_good=True)
    except EngineError as error:
        log.warning("rendition %s could not be made: %s", rendition.pk, error)
        _fail(rendition, str(error), for_good=error.blame == "user")
    return (
        Rendition.objects.filter(pk=rendition.pk).first() or rendition
    )  # of a reissue that is done no row is left


def claim() -> Rendition | None:
    """Take the next rendition, for as long as the lease is renewed. Its `attempts` is the fence."""
    with transaction.atomic():
        waiting = Rendition.objects.filter(state=State.QUEUED, asset__deleted_at=None)
        rendition = waiting.select_for_update(skip_locked=True, of=("self",)).order_by("id").first()
        if rendition is None:
            return None
        Rendition.objects.filter(pk=rendition.pk).update(
            state=State.MAKING, attempts=F("attempts") + 1, lease_expires_at=Now() + settings.JOB_LEASE
        )
    return Rendition.objects.select_related("asset").get(pk=rendition.pk)


def publish(rendition: Rendition, made: Made) -> None:
    """Let the finished file be had. Raises `Lost` where the lease has run out or the clip is deleted."""
    with transaction.atomic():
        # Locked, so that who deletes the clip finds this file among those that go with it.
        alive = Asset.objects.select_for_update(no_key=True).filter(pk=rendition.asset_id, deleted_at=None).first()
        held = held_by(rendition)
        if alive is None:
            raise Lost
        if rendition.is_reissue:
            _take_over(alive, held, made, form_of(rendition))
        elif not held.update(
            state=State.READY, lease_expires_at=None, error="", used_at=Now(), file=made.name,
            media_type=made.media_type, size_bytes=made.size_bytes, sha256=made.sha256,
        ):  # fmt: skip
            raise Lost
        for name in stored_names(rendition):
            if name != made.name:
                transaction.on_commit(partial(default_storage.delete, name))


def held_by(rendition: Rendition) -> QuerySet[Rendition]:
    """The rendition as rows, as long as this attempt has it: one or none."""
    return Rendition.objects.filter(
        pk=rendition.pk, state=State.MAKING, attempts=rendition.attempts, lease_expires_at__gt=Now()
    )


def _make(rendition: Rendition, scratch: Path) -> Made:
    """The file, in the storage. Raises `EngineError` or `ImpossibleForm`."""
    clip, form = rendition.asset, form_of(rendition)
    marks = digest_of(clip.workspace_id)
    if marks != rendition.mark:
        raise EngineError(
            "mark_changed", "the visible mark of the workspace or of its plan has changed; ask again", "user"
        )
    # 1. The master, from the storage.
    master = fetch(clip.master or clip.file, scratch)
    target = scratch / f"made.{PROFILES[form.format].extension}"
    # 2. The marks for frames of its size, and one pass of ffmpeg.
    if rendition.is_reissue and serves_as_master(form):
        target = master  # it is in the clip's own form: encoded once more it would only be worse
    else:
        shape = shape_of(Original.of(clip).source, form)
        overlays = overlays_for(clip.workspace_id, shape.width, shape.height, scratch, seconds=shape.seconds)
        convert(master, [Target(target, form, overlays)])
    # 3. What shows a clip in the library is made without the mark, too.
    shown = previews(master, scratch) if rendition.is_reissue and clip.poster else None
    # 4. Signed, as the clip itself was, and back into the storage.
    said = _sign(clip, target, shown, PROFILES[form.format].media_type, scratch)
    made = store(rendition, target, shown)
    return replace(made, shown={**made.shown, "provenance": said}) if rendition.is_reissue else made


def _sign(clip: Asset, made: Path, shown: Previews | None, media_type: str, scratch: Path) -> dict[str, Any]:
    """Have the file say what the clip's own says of who made it; nothing of a clip that was uploaded."""
    job = Job.objects.select_related("picture", "last_picture").filter(output=clip).first()
    if job is None:
        return {}
    # Not when this process starts: it has no need of cryptography until then.
    from generation.outputs.provenance import claim_of, sign

    first, last = (
        fetch(picture.file, scratch, name) if picture and not picture.discarded_at else None
        for name, picture in (("first", job.picture), ("last", job.last_picture))
    )
    claim = claim_of(job, first, last_picture=last)
    if shown:
        sign(shown.poster, "image/jpeg", claim)
    return sign(made, media_type, claim)


def _take_over(clip: Asset, held: QuerySet[Rendition], made: Made, form: Form) -> None:
    """Give the clip the new file in place of the marked one, which is removed; within the publishing."""
    if not held.delete()[0]:
        raise Lost
    changes: dict[str, Any] = {"file": made.name, "is_marked": False, **made.shown}
    if serves_as_master(form):
        changes["master"] = ""  # the new file serves
    gone = {getattr(clip, field).name for field in changes if field in FILES}
    Asset.objects.filter(pk=clip.pk).update(
        **changes, media_type=made.media_type, size_bytes=made.size_bytes, sha256=made.sha256
    )
    for name in filter(None, gone):
        transaction.on_commit(partial(default_storage.delete, name))


def _fail(rendition: Rendition, reason: str, *, for_good: bool) -> None:
    """Note why it could not be made; it waits for another try unless it never can be, or had as many as it may."""
    over = for_good or rendition.attempts >= MAX_ATTEMPTS
    state = State.FAILED if over else State.QUEUED
    changed = held_by(rendition).update(state=state, error=reason, lease_expires_at=None)
    if changed and not over:
        issue_ticket()
    elif changed and not for_good:
        tell_failed(reason)


@contextmanager
def _kept(rendition: Rendition) -> Iterator[None]:
    """The rendition's lease is renewed in a thread of its own, however long the work takes."""
    ended = threading.Event()
    renewing = threading.Thread(target=_renew, args=(rendition, ended), name="rendition-lease", daemon=True)
    renewing.start()
    try:
        yield
    finally:
        ended.set()
        renewing.join()


def _renew(rendition: Rendition, ended: threading.Event) -> None:
    while not ended.wait(settings.JOB_LEASE.total_seconds() / RENEWALS):
        try:
            held_by(rendition).update(lease_expires_at=Now() + settings.JOB_LEASE)
        except Error as error:
            log.warning("the lease of rendition %s could not be renewed: %s", rendition.pk, error)
        finally:
            close_old_connections()
    close_old_connections()
