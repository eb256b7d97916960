"""The clip without the mark: its own file made anew from the master, once, whatever happens meanwhile."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from assets.models import Asset, Rendition
from billing.entitlements import entitlements_of
from billing.errors import NotInPlan
from billing.models import Plan
from generation.models import Job
from generation.outputs.renditions import making
from generation.outputs.renditions.asking import NothingToReissue, StillMarked, may_reissue, reissue, reissue_of
from generation.outputs.renditions.making import claim, make_next
from mutoscope.accounts.selectors import Access
from mutoscope.media import probe
from tests.generation.outputs.clips import clip_in, own_mark
from tests.generation.samples import at_once, submit


@pytest.fixture
def clip(access: Access, tmp_path: Path) -> Asset:
    """A clip with the operator's mark, of a time when the plan wanted it."""
    return clip_in(access.workspace, tmp_path, marked=True, with_sound=True)


def exists(name: str | None) -> bool:
    return default_storage.exists(name or "")


def test_the_master_takes_the_place_of_the_marked_file(
    access: Access, clip: Asset, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with clip.master.open() as file:
        clean = file.read()
    assert may_reissue(clip, entitlements_of(access.workspace.pk))
    reissue(access, clip.pk)
    assert reissue_of(clip) is not None
    with django_capture_on_commit_callbacks(execute=True):
        make_next()
    now = Asset.objects.get(pk=clip.pk)
    assert (now.is_marked, now.master.name) == (False, "")  # the file serves as the master from here on
    with now.file.open() as file:
        assert file.read() == clean
    assert now.file.name != clip.file.name
    assert (now.size_bytes, now.media_type) == (len(clean), "video/mp4")
    assert now.sha256 != clip.sha256
    assert not exists(clip.file.name)
    assert not exists(clip.master.name)
    assert reissue_of(now) is None
    with pytest.raises(NothingToReissue, match="carries no visible mark"):
        reissue(access, clip.pk)


def test_a_clip_of_another_form_keeps_it_and_its_master(
    access: Access, clip: Asset, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    job = submit(access)
    Job.objects.filter(pk=job.pk).update(output=clip, format="webm", quality="small")
    for column in ("poster", "preview", "strip", "thumbnail"):
        getattr(clip, column).save(f"{column}.webp", ContentFile(b"old"))
    reissue(access, clip.pk)
    with django_capture_on_commit_callbacks(execute=True):
        make_next()
    now = Asset.objects.get(pk=clip.pk)
    media = probe(default_storage.path(now.file.name or ""), strict=True)
    assert media.video is not None
    assert media.audio is not None
    assert (media.video.codec, media.audio.codec, now.media_type) == ("vp9", "opus", "video/webm")
    assert exists(now.master.name)
    for column in ("poster", "preview", "strip", "thumbnail"):  # they may have shown the mark
        assert not exists(getattr(clip, column).name)
        assert default_storage.size(getattr(now, column).name) > 50
    assert now.strip_tiles == 16


def test_the_plan_and_the_workspace_must_have_none(access: Access, clip: Asset) -> None:
    Plan.objects.update(watermark=True)
    assert not may_reissue(clip, entitlements_of(access.workspace.pk))
    with pytest.raises(NotInPlan, match="has clips with a visible mark, and none without"):
        reissue(access, clip.pk)
    Plan.objects.update(watermark=False)
    mark = own_mark(access.workspace)
    with pytest.raises(StillMarked, match="turn it off first"):
        reissue(access, clip.pk)
    mark.delete()
    assert reissue(access, clip.pk).is_reissue


def test_without_a_master_there_is_nothing_to_do_it_from(access: Access, clip: Asset) -> None:
    Asset.objects.filter(pk=clip.pk).update(master="")
    with pytest.raises(NothingToReissue, match="kept with its mark alone"):
        reissue(access, clip.pk)


def test_a_plan_that_wants_the_mark_again_meanwhile(access: Access, clip: Asset) -> None:
    reissue(access, clip.pk)
    Plan.objects.update(watermark=True)
    make_next()
    clip.refresh_from_db()
    assert clip.is_marked
    found = reissue_of(clip)
    assert found is not None
    assert found.state == Rendition.State.FAILED


def test_one_that_was_lost_changes_nothing(access: Access, clip: Asset) -> None:
    reissue(access, clip.pk)
    lost = claim()
    assert lost is not None
    Rendition.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(making.Lost):
        making.publish(lost, making.Made("elsewhere.mp4", "video/mp4", 1, "0"))
    clip.refresh_from_db()
    assert clip.is_marked
    assert exists(clip.file.name)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_clicked_by_many_it_is_done_once(access: Access, clip: Asset) -> None:
    assert len({found.pk for found in at_once(*[partial(reissue, access, clip.pk)] * 6)}) == 1
    at_once(*[make_next] * 3)
    now = Asset.objects.get(pk=clip.pk)
    assert not now.is_marked
    assert exists(now.file.name)
    assert not Rendition.objects.exists()
