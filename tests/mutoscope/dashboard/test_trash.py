"""The page of the trash."""

from __future__ import annotations

from datetime import timedelta
from math import inf

from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from assets import trash
from assets.models import Asset
from assets.services import upload
from billing.models import Plan
from mutoscope.accounts.selectors import Access
from tests.conftest import picture_file

TRASH = reverse("dashboard:trash")


def to(page: str, asset: Asset) -> str:
    return reverse(f"dashboard:{page}", args=[asset.pk])


def test_what_is_deleted_lies_there_until_a_day_that_is_told(
    alices: Client, access: Access, picture: Asset
) -> None:
    assert "The trash is empty." in alices.get(TRASH).content.decode()
    trash.delete(access, picture.pk)
    html = alices.get(TRASH).content.decode()
    assert picture.name in html
    assert "for 30 days" in html
    assert f"{timezone.now() + timedelta(days=30):%b %Y}" in html
    assert reverse("dashboard:trash") in alices.get(reverse("dashboard:library")).content.decode()


def test_clips_are_told_the_plan_s_day_where_that_is_sooner(
    alices: Client, access: Access, picture: Asset
) -> None:
    Plan.objects.filter(slug="studio").update(retention_days=5)
    Asset.objects.update(origin="generated", created_at=timezone.now() - timedelta(days=3))
    trash.delete(access, picture.pk)
    html = alices.get(TRASH).content.decode()
    assert "clips never longer than the 5 days" in html
    assert f"{timezone.now() + timedelta(days=2):%b %Y, %H}" in html


def test_restoring_and_deleting_for_good(alices: Client, access: Access, picture: Asset) -> None:
    trash.delete(access, picture.pk)
    html = alices.post(to("restore_asset", picture), follow=True).content.decode()
    assert "still.png is back in the library." in html
    trash.delete(access, picture.pk)
    answer = alices.post(to("discard_asset", picture), headers={"HX-Request": "true"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert alices.post(to("restore_asset", picture)).status_code == 404
    assert trash.discard_due(until=inf) == 1


def test_emptying_it(alices: Client, access: Access, picture: Asset) -> None:
    for asset in (picture, upload(access, picture_file())):
        trash.delete(access, asset.pk)
    html = alices.post(reverse("dashboard:empty_trash"), follow=True).content.decode()
    assert "2 files gone for good." in html
    assert trash.discard_due(until=inf) == 2


def test_what_has_no_room_says_so(alices: Client, access: Access, picture: Asset) -> None:
    Plan.objects.filter(slug="studio").update(storage_mib=0)
    trash.delete(access, picture.pk)
    html = alices.post(to("restore_asset", picture), follow=True).content.decode()
    assert "delete something from the library to make room" in html
    assert list(trash.trash(access.workspace)) == [picture]


def test_who_may(alices: Client, bobs: Client, charlies: Client, access: Access, picture: Asset) -> None:
    trash.delete(access, picture.pk)
    html = bobs.get(TRASH).content.decode()
    assert picture.name in html
    assert to("restore_asset", picture) not in html
    assert "Empty the trash" not in html
    assert picture.name not in charlies.get(TRASH).content.decode()
    for page in ("restore_asset", "discard_asset"):
        assert bobs.post(to(page, picture)).status_code == 403
        assert charlies.post(to(page, picture)).status_code == 404
        assert alices.get(to(page, picture)).status_code == 405
    assert bobs.post(reverse("dashboard:empty_trash")).status_code == 403
    assert charlies.post(reverse("dashboard:empty_trash")).status_code == 302
    assert Client().get(TRASH).status_code == 302
    assert list(trash.trash(access.workspace)) == [picture]


def test_it_costs_the_same_however_much_there_is(
    alices: Client, access: Access, picture: Asset, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for asset in (picture, upload(access, picture_file()), upload(access, picture_file())):
        trash.delete(access, asset.pk)
    # session, user, memberships, assets, two for the plan, workspaces for the menu, three for the credits there
    with django_assert_num_queries(10):
        alices.get(TRASH)
