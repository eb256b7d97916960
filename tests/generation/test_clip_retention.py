"""Clips are kept as long as the plan says; what people uploaded stays."""

from __future__ import annotations

from datetime import timedelta
from math import inf

import pytest
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from assets import trash
from assets.models import Asset
from billing.models import Plan, PlanOverride
from generation import attempts, retention
from generation.models import Job
from generation.tasks import retire_clips
from mutoscope.accounts.selectors import Access
from tests.generation.lines import workspace_of
from tests.generation.samples import finishing, unsaved_clip

DAY = timedelta(days=1)


@pytest.fixture
def job(access: Access) -> Job:
    """A job whose clip has just been made."""
    job = finishing(access)
    attempts.succeed(job, unsaved_clip(job))
    job.refresh_from_db()
    return job


def made(job: Job, ago: timedelta) -> Asset:
    assert job.output is not None
    Asset.objects.filter(pk=job.output.pk).update(created_at=timezone.now() - ago)
    return Asset.objects.get(pk=job.output.pk)


def test_an_old_clip_goes_and_its_row_stays(job: Job, picture: Asset) -> None:
    Plan.objects.filter(slug="studio").update(retention_days=3)
    Asset.objects.filter(pk=picture.pk).update(created_at=timezone.now() - 9 * DAY)
    clip = made(job, 3 * DAY - timedelta(minutes=1))
    retire_clips()
    clip.refresh_from_db()
    assert clip.deleted_at is None
    clip = made(job, 3 * DAY + timedelta(minutes=1))
    assert default_storage.exists(clip.file.name)
    assert retention.retire_outdated_clips() == 1
    assert trash.discard_due(until=inf) == 1
    clip.refresh_from_db()
    assert clip.deleted_at is not None
    assert clip.discarded_at is not None
    assert not default_storage.exists(clip.file.name)
    assert retention.retire_outdated_clips() == 0
    picture.refresh_from_db()
    assert picture.deleted_at is None
    job.refresh_from_db()
    assert job.output == clip


def test_a_plan_without_a_limit_keeps_clips(job: Job) -> None:
    made(job, 4000 * DAY)
    assert retention.retire_outdated_clips() == 0


def test_an_override_keeps_clips_longer_until_it_ends(job: Job, access: Access) -> None:
    Plan.objects.filter(slug="studio").update(retention_days=3)
    made(job, 9 * DAY)
    PlanOverride.objects.create(
        workspace=access.workspace,
        limit="retention_days",
        value=None,
        reason="a film",
        ends_at=timezone.now() + DAY,
    )
    assert retention.retire_outdated_clips() == 0
    PlanOverride.objects.update(created_at=timezone.now() - DAY)
    PlanOverride.objects.update(ends_at=timezone.now())
    assert retention.retire_outdated_clips() == 1


def test_each_workspace_has_its_own_days_in_few_queries(
    job: Job, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    Plan.objects.update(retention_days=3)
    made(job, 2 * DAY)
    with django_assert_num_queries(5):  # whose clips there are, three for their days, and the clips
        retention.retire_outdated_clips()
    clip = job.output
    for number in range(3):
        other = workspace_of(number)
        Asset.objects.create(
            workspace=other, kind="video", origin="generated", name="c", media_type="video/mp4", seconds=1,
            width=8, height=8, uploaded_type="video/mp4", size_bytes=1, sha256="0", file=f"{number}.mp4",
        )  # fmt: skip
    Plan.objects.filter(slug__startswith="plan-").update(retention_days=3)
    Asset.objects.exclude(pk=clip and clip.pk).update(created_at=timezone.now() - DAY)
    with django_assert_num_queries(5):
        assert retention.retire_outdated_clips() == 0


def test_the_job_s_page_says_how_long_its_clip_is_kept(job: Job, access: Access, client: Client) -> None:
    assert access.user is not None
    client.force_login(access.user)
    assert "Kept until" not in client.get(f"/jobs/{job.pk}").content.decode()
    Plan.objects.filter(slug="studio").update(retention_days=30)
    html = client.get(f"/jobs/{job.pk}").content.decode()
    assert job.output is not None
    kept_until = job.output.created_at + 30 * DAY
    assert "Kept until" in html
    assert f"{kept_until:%Y, %H:%M} UTC" in html
