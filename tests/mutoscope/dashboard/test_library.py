"""The library: what is seen, and deleting."""

from __future__ import annotations

from uuid import uuid4

from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from assets.models import Asset
from assets.services import upload
from generation.models import Job
from mutoscope.accounts.selectors import Access
from mutoscope.dashboard.paging import PAGE
from tests.conftest import picture_file

LIBRARY = reverse("dashboard:library")


def _delete(asset: Asset) -> str:
    return reverse("dashboard:delete_asset", args=[asset.pk])


def _clip(access: Access) -> Asset:
    return Asset.objects.create(
        workspace=access.workspace, kind="video", origin="generated", name="clip.mp4", media_type="video/mp4",
        uploaded_type="video/mp4", size_bytes=9, sha256="0", width=64, height=64, seconds=2, file="clip.mp4",
    )  # fmt: skip


def test_pictures_and_clips(alices: Client, access: Access, job: Job) -> None:
    clip = _clip(access)
    Job.objects.filter(pk=job.pk).update(output=clip)
    html = alices.get(LIBRARY).content.decode()
    assert "still.png" in html
    assert reverse("dashboard:job", args=[job.pk]) in html
    assert f"?picture={job.picture_id}" in html
    assert "still.png" not in alices.get(LIBRARY, {"kind": "video"}).content.decode()
    assert "clip.mp4" not in alices.get(LIBRARY, {"kind": "image"}).content.decode()
    assert alices.get(LIBRARY, {"kind": "nonsense"}).status_code == 200


def test_an_empty_library_says_so(charlies: Client) -> None:
    assert "Nothing here yet." in charlies.get(LIBRARY).content.decode()


def test_it_is_the_workspaces_own(bobs: Client, charlies: Client, picture: Asset) -> None:
    assert Client().get(LIBRARY).status_code == 302
    assert picture.name not in charlies.get(LIBRARY).content.decode()
    html = bobs.get(LIBRARY).content.decode()
    assert picture.name in html
    assert _delete(picture) not in html
    assert reverse("dashboard:upload") not in html
    assert "Animate this" not in html


def test_deleting(alices: Client, picture: Asset) -> None:
    answer = alices.post(_delete(picture), headers={"HX-Request": "true"})
    assert (answer.status_code, answer.content) == (200, b"")
    picture.refresh_from_db()
    assert picture.deleted_at
    assert alices.post(_delete(picture)).status_code == 404


def test_deleting_without_scripts(alices: Client, picture: Asset) -> None:
    html = alices.post(_delete(picture), follow=True).content.decode()
    assert "It is in the trash" in html
    assert picture.name not in html


def test_who_may_delete(alices: Client, bobs: Client, charlies: Client, picture: Asset) -> None:
    assert bobs.post(_delete(picture)).status_code == 403
    assert charlies.post(_delete(picture)).status_code == 404
    assert alices.post(reverse("dashboard:delete_asset", args=[uuid4()])).status_code == 404
    assert Client().post(_delete(picture)).status_code == 302
    assert alices.get(_delete(picture)).status_code == 405
    picture.refresh_from_db()
    assert picture.deleted_at is None


def test_it_pages_and_asks_the_database_no_more_for_it(
    alices: Client, access: Access, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    first = upload(access, picture_file(name="first.png"))
    for _ in range(PAGE):
        _clip(access)
    # session, user, memberships, assets with their jobs, workspaces for the menu; four for the credits there
    with django_assert_num_queries(9):
        html = alices.get(LIBRARY).content.decode()
    assert first.name not in html
    more = html.split('hx-get="?')[1].split('"')[0]
    rest = alices.get(f"{LIBRARY}?{more}", headers={"HX-Request": "true"}).content.decode()
    assert first.name in rest
    assert rest.count('class="card"') == 1
