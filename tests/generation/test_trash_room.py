"""What plans say about the trash: how long clips may lie there, how much, and whether there is room to restore."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from assets import trash
from assets.models import Asset
from assets.services import upload
from billing.entitlements import entitlements_of
from billing.models import Plan
from generation import attempts, retention
from generation.tasks import retire_clips
from mutoscope.accounts.selectors import Access
from tests.conftest import is_problem, picture_file
from tests.generation.samples import finishing, unsaved_clip

MIB = 2**20


def a_clip(access: Access) -> Asset:
    job = finishing(access)
    clip = unsaved_clip(job)
    attempts.succeed(job, clip)
    return clip


def test_the_trash_keeps_no_clip_longer_than_the_plan(access: Access, picture: Asset) -> None:
    Plan.objects.filter(slug="studio").update(retention_days=3)
    clip = a_clip(access)
    for asset in (clip, picture):
        trash.delete(access, asset.pk)
    Asset.objects.update(created_at=timezone.now() - timedelta(days=4))
    clip.refresh_from_db()
    deleted_at = clip.deleted_at
    assert retention.retire_outdated_clips() == 1
    assert list(trash.trash(access.workspace)) == [picture]
    clip.refresh_from_db()
    assert clip.deleted_at == deleted_at
    assert retention.retire_outdated_clips() == 0


def test_the_trash_has_as_much_room_as_the_library_and_the_oldest_go_first(access: Access) -> None:
    Plan.objects.filter(slug="studio").update(storage_mib=10)
    pictures = [upload(access, picture_file()) for _ in range(4)]
    Asset.objects.update(size_bytes=3 * MIB)
    for age, asset in enumerate(reversed(pictures)):  # the first to be uploaded is deleted last
        trash.delete(access, asset.pk)
        Asset.objects.filter(pk=asset.pk).update(deleted_at=timezone.now() - timedelta(hours=4 - age))
    retire_clips()
    assert set(trash.trash(access.workspace)) == set(pictures[:3])
    assert retention.bound_trash() == 0


def test_a_plan_without_a_limit_bounds_nothing(access: Access, picture: Asset) -> None:
    Plan.objects.filter(slug="studio").update(storage_mib=None)
    Asset.objects.update(size_bytes=10**12)
    trash.delete(access, picture.pk)
    assert retention.bound_trash() == 0


def test_what_has_no_room_in_the_library_stays_in_the_trash(
    access: Access, api: APIClient, picture: Asset
) -> None:
    Plan.objects.filter(slug="studio").update(storage_mib=1)
    Asset.objects.update(size_bytes=MIB)
    api.delete(f"/api/v1/assets/{picture.pk}")
    upload(access, picture_file())
    is_problem(api.post(f"/api/v1/assets/{picture.pk}/restore"), 429, "limit_reached")
    assert list(trash.trash(access.workspace)) == [picture]


@pytest.mark.parametrize(
    ("days", "in_trash", "expected"), [(3, False, 3), (3, True, 3), (90, True, 30), (None, False, None)]
)
def test_how_long_it_is_kept(access: Access, days: int | None, in_trash: bool, expected: int | None) -> None:
    Plan.objects.filter(slug="studio").update(retention_days=days)
    clip = a_clip(access)
    if in_trash:
        trash.delete(access, clip.pk)
    clip.refresh_from_db()
    until = retention.kept_until(clip, entitlements_of(access.workspace.pk))
    assert (until and round((until - clip.created_at) / timedelta(days=1))) == expected
