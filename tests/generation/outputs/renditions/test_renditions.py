"""Clips in other forms: made once from the master, kept while they are used, never of what is deleted."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.files.storage import default_storage
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from assets import trash
from assets.models import Asset, Rendition
from billing.errors import LimitReached, NotInPlan
from billing.models import Plan
from generation.engines.base import EngineError
from generation.errors import ImpossibleForm
from generation.models import Job
from generation.outputs.encoding import PROFILES
from generation.outputs.renditions import asking, files, keeping, making
from generation.outputs.renditions.asking import ask
from generation.outputs.renditions.making import claim, make_next
from generation.outputs.renditions.originals import NotAClip, Wish
from generation.tasks import make_rendition, recover, retain
from mutoscope.accounts.selectors import Access
from mutoscope.celery import MEDIA_QUEUE
from mutoscope.errors import NotFound
from mutoscope.media import probe
from tests.conftest import RunManage, wait_for
from tests.generation.outputs.clips import clip_in, own_mark
from tests.generation.samples import at_once, submit

State = Rendition.State
DAY = timedelta(days=1)


@pytest.fixture
def clip(access: Access, tmp_path: Path) -> Asset:
    return clip_in(access.workspace, tmp_path, with_sound=True)


def media_of(rendition: Rendition) -> Any:
    return probe(default_storage.path(rendition.file.name or ""), strict=True)


def test_it_is_made_from_the_clip_and_had_beside_it(access: Access, clip: Asset) -> None:
    asked = ask(access, clip.pk, Wish("webm", "small", width=96))
    assert (asked.state, asked.file.name) == (State.QUEUED, "")
    made = make_next()
    assert made is not None
    assert (made.pk, made.state, made.error) == (asked.pk, State.READY, "")
    assert made.media_type == "video/webm"
    folder, _, name = (made.file.name or "").rpartition("/")
    assert folder == (clip.file.name or "").rpartition("/")[0]
    assert name == f"coffee-still-small-96w-{made.pk.hex[-6:]}-1.webm"
    media = media_of(made)
    assert (media.video.codec, media.video.width, media.video.frames) == ("vp9", 96, 16)
    assert media.audio.codec == "opus"
    assert made.size_bytes == default_storage.size(made.file.name or "")
    assert make_next() is None


@pytest.mark.parametrize("name", ["gif", "webp", "png", "prores"])
def test_formats(access: Access, clip: Asset, name: str) -> None:
    ask(access, clip.pk, Wish(name))
    made = make_next()
    assert made is not None
    assert (made.state, made.error) == (State.READY, "")
    assert (made.file.name or "").endswith(PROFILES[name].extension)


def test_an_uploaded_clip_has_other_forms_too(access: Access, tmp_path: Path) -> None:
    uploaded = clip_in(access.workspace, tmp_path, origin="uploaded", fps=7.9999, name="Überraschung?.mov")
    ask(access, uploaded.pk, Wish("webm", fps=4))
    made = make_next()
    assert made is not None
    assert (made.state, media_of(made).video.fps) == (State.READY, 4.0)
    assert "uberraschung-4fps" in (made.file.name or "")


def test_a_clip_is_had_as_it_is_from_a_master_that_is_not(access: Access, tmp_path: Path) -> None:
    """A boomerang GIF of half the size: its master is neither."""
    clip = clip_in(access.workspace, tmp_path, marked=True, width=80, height=48, seconds=3.75)
    facts = {"width": 160, "height": 96, "fps": 8, "frames": 16}
    Job.objects.filter(pk=submit(access).pk).update(
        output=clip, format="gif", loop="boomerang", output_fps=16, **facts
    )
    first = ask(access, clip.pk, Wish("webm"))
    assert (first.loop, first.fps, first.width) == ("boomerang", 16, None)
    straight = ask(access, clip.pk, Wish("webm", width=120, fps=8, loop=""))
    assert (straight.loop, straight.fps, straight.width) == ("", None, 120)
    shapes = []
    for _ in range(2):
        made = make_next()
        assert made is not None
        video = media_of(made).video
        shapes.append((made.error, video.width, round(video.fps, 1), video.frames))
    assert shapes == [("", 160, 16.0, 60), ("", 120, 8.0, 16)]


def test_the_same_form_is_made_once(access: Access, clip: Asset) -> None:
    first = ask(access, clip.pk, Wish("webm"))
    make_next()
    long_ago = timezone.now() - 9 * DAY
    Rendition.objects.update(used_at=long_ago)
    again = ask(access, clip.pk, Wish("webm", fps=8, width=160))  # the clip's own rate and width, by name
    assert (again.pk, again.state) == (first.pk, State.READY)
    assert again.used_at > long_ago
    assert ask(access, clip.pk, Wish("webm", width=80)).pk != first.pk


def test_it_carries_the_mark_that_holds(access: Access, clip: Asset) -> None:
    plain = ask(access, clip.pk, Wish("webm"))
    make_next()
    own_mark(access.workspace)
    marked = ask(access, clip.pk, Wish("webm"))
    assert marked.pk != plain.pk
    assert list(asking.renditions_of(access.workspace, clip.pk)) == [marked]
    make_next()
    marked.refresh_from_db()
    plain.refresh_from_db()
    assert marked.state == State.READY
    assert marked.sha256 != plain.sha256


def test_a_mark_that_changed_meanwhile_is_told(access: Access, clip: Asset) -> None:
    ask(access, clip.pk, Wish("webm"))
    own_mark(access.workspace)
    made = make_next()
    assert made is not None
    assert made.state == State.FAILED
    assert "ask again" in made.error


@pytest.mark.parametrize(
    ("form", "rule"),
    [
        (Wish("avi"), "format must be one of mp4"),
        (Wish("mp4", "superb"), "quality must be one of"),
        (Wish("mp4", width=4000), "the clip's own 160, but is 4000"),
        (Wish("mp4", fps=0), "fps must be between 1 and 60"),
        (Wish("mp4", loop="mobius"), "loop must be one of"),
    ],
)
def test_impossible_forms(access: Access, clip: Asset, form: Wish, rule: str) -> None:
    with pytest.raises(ImpossibleForm, match=rule):
        ask(access, clip.pk, form)
    assert not Rendition.objects.exists()


def test_only_clips_that_are_there_and_not_too_long(access: Access, clip: Asset, picture: Asset) -> None:
    with pytest.raises(NotAClip, match="of the kind image"):
        ask(access, picture.pk, Wish("gif"))
    Asset.objects.filter(pk=clip.pk).update(seconds=600)
    with pytest.raises(NotAClip, match="180 s at most can be had in other forms, but this one has 600 s"):
        ask(access, clip.pk, Wish("gif"))
    trash.delete(access, clip.pk)
    with pytest.raises(NotFound):
        ask(access, clip.pk, Wish("gif"))


def test_the_plan_says_which_formats(access: Access, clip: Asset) -> None:
    Plan.objects.update(output_formats=["mp4", "gif"])
    with pytest.raises(NotInPlan, match="does not have the format 'webm'; it has mp4, gif"):
        ask(access, clip.pk, Wish("webm"))
    assert ask(access, clip.pk, Wish("gif")).state == State.QUEUED


def test_a_workspace_waits_for_so_many(access: Access, clip: Asset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "WAITING", 2)
    for width in (32, 64):
        ask(access, clip.pk, Wish("webm", width=width))
    with pytest.raises(LimitReached, match="2 clips waiting"):
        ask(access, clip.pk, Wish("webm", width=96))
    ask(access, clip.pk, Wish("webm", width=64))  # that waits already


def test_of_many_the_longest_unused_gives_way(
    access: Access,
    clip: Asset,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    monkeypatch.setattr(asking, "KEPT", 2)
    first, second = (ask(access, clip.pk, Wish("gif", width=width)) for width in (32, 64))
    make_next()
    make_next()
    first.refresh_from_db()
    Rendition.objects.filter(pk=second.pk).update(used_at=timezone.now() - DAY)
    with django_capture_on_commit_callbacks(execute=True):
        third = ask(access, clip.pk, Wish("gif", width=96))
    assert set(Rendition.objects.all()) == {first, third}
    assert default_storage.exists(first.file.name or "")


def test_what_cannot_be_made_is_tried_again_and_then_told(
    access: Access, clip: Asset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise EngineError("encode_failed", "ffmpeg could not encode the clip: no space", "ours")

    with monkeypatch.context() as patch:
        patch.setattr(making, "convert", broken)
        ask(access, clip.pk, Wish("webm"))
        states = [(made := make_next()) and (made.state, made.attempts) for _ in range(files.MAX_ATTEMPTS)]
        assert states == [(State.QUEUED, 1), (State.QUEUED, 2), (State.FAILED, 3)]
        assert make_next() is None
    assert (
        caplog.text.count("clips could not be made in other forms: ffmpeg could not encode the clip: no sp") == 1
    )
    again = ask(access, clip.pk, Wish("webm"))
    assert (again.state, again.error, again.attempts) == (State.QUEUED, "", 0)
    made = make_next()
    assert made is not None
    assert (made.state, made.error) == (State.READY, "")


def test_a_file_that_is_gone_is_told(access: Access, clip: Asset) -> None:
    default_storage.delete(clip.file.name or "")
    ask(access, clip.pk, Wish("webm"))
    made = make_next()
    assert made is not None
    assert "not in the storage any more" in made.error


def test_one_that_was_lost_is_made_by_another(access: Access, clip: Asset) -> None:
    ask(access, clip.pk, Wish("webm"))
    lost = claim()
    assert lost is not None
    left = files.store(lost, Path(default_storage.path(clip.file.name or "")))  # and then it was killed
    recover()
    assert Rendition.objects.get().state == State.MAKING
    Rendition.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    recover()
    assert Rendition.objects.get().state == State.QUEUED
    made = make_next()
    assert made is not None
    assert (made.state, made.attempts) == (State.READY, 2)
    with pytest.raises(making.Lost):
        making.publish(lost, left)
    made.refresh_from_db()
    assert (made.file.name or "").endswith("-2.webm")


def test_what_every_process_dies_of_is_not_tried_for_ever(access: Access, clip: Asset) -> None:
    ask(access, clip.pk, Wish("webm"))
    for _ in range(files.MAX_ATTEMPTS):
        assert claim() is not None
        Rendition.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
        keeping.return_lost()
    found = Rendition.objects.get()
    assert (found.state, found.error) == (State.FAILED, keeping.LOST)


def test_lost_tickets_are_made_again(access: Access, clip: Asset, settings: Any) -> None:
    ask(access, clip.pk, Wish("webm"))
    ask(access, clip.pk, Wish("gif"))
    broker = redis.Redis.from_url(settings.REDIS_URL)
    broker.flushdb()
    assert keeping.reissue_tickets() == 2
    assert broker.llen(MEDIA_QUEUE) == 2
    assert keeping.reissue_tickets() == 0


def test_a_ticket_makes_one(access: Access, clip: Asset) -> None:
    ask(access, clip.pk, Wish("gif"))
    make_rendition()
    assert Rendition.objects.get().state == State.READY
    make_rendition()


def test_what_nobody_asks_for_is_removed_and_made_again(access: Access, clip: Asset) -> None:
    ask(access, clip.pk, Wish("gif"))
    made = make_next()
    assert made is not None
    retain()
    assert default_storage.exists(made.file.name or "")
    Rendition.objects.update(used_at=timezone.now() - 31 * DAY)
    retain()
    assert not default_storage.exists(made.file.name or "")
    assert not Rendition.objects.exists()
    assert ask(access, clip.pk, Wish("gif")).state == State.QUEUED


def test_it_goes_with_its_clip(access: Access, clip: Asset) -> None:
    ask(access, clip.pk, Wish("gif"))
    ask(access, clip.pk, Wish("webm"))
    made = make_next()
    held = claim()
    assert made is not None
    assert held is not None
    late = files.store(held, Path(default_storage.path(clip.file.name or "")))
    trash.delete(access, clip.pk, now=True)
    with pytest.raises(making.Lost):
        making.publish(held, late)
    assert trash.discard_due(until=inf) == 0  # not while one is being made
    Rendition.objects.filter(pk=held.pk).update(lease_expires_at=Now())
    assert trash.discard_due(until=inf) == 1
    assert not default_storage.exists(made.file.name or "")
    assert not default_storage.exists(late.name)
    assert not Rendition.objects.exists()


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_asked_for_by_many_at_once_it_is_one(access: Access, clip: Asset) -> None:
    found = at_once(*[partial(ask, access, clip.pk, Wish("gif", width=64))] * 8)
    assert len({rendition.pk for rendition in found}) == 1
    made = [rendition for rendition in at_once(*[make_next] * 4) if rendition]
    assert [rendition.state for rendition in made] == [State.READY]


@pytest.mark.processes
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_the_media_process_makes_them(access: Access, clip: Asset, manage: RunManage) -> None:
    with manage("media"):
        asked = ask(access, clip.pk, Wish("webm", "small"))

        def ready() -> bool:
            asked.refresh_from_db()
            return asked.state == State.READY

        wait_for(ready, what="the rendition")
    assert default_storage.exists(asked.file.name or "")
