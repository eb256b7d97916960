"""The trash: deleting, restoring, deleting for good, and what is left of it in storage."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from math import inf
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone
from rest_framework.test import APIClient

from assets import objects, trash
from assets.models import Asset, Rendition, folder_of
from assets.objects import StorageAway, listing
from assets.selectors import used_bytes
from assets.services import upload
from generation.tasks import discard, retain
from mutoscope.accounts.selectors import Access
from mutoscope.errors import NotFound
from tests.conftest import is_problem, picture_file
from tests.generation.samples import at_once

ASSETS = "/api/v1/assets"


def overdue(*assets: Asset) -> None:
    """Their time in the trash is over."""
    past = timezone.now() - timedelta(seconds=1)
    Asset.objects.filter(pk__in=[asset.pk for asset in assets]).update(deleted_at=past, discard_at=past)


def files_of(asset: Asset) -> set[str]:
    folder = folder_of(asset.workspace_id, asset.pk)
    return {stored.name.removeprefix(f"{folder}/") for stored in listing(folder)}


def test_it_lies_in_the_trash_for_as_long_as_the_setting_says(
    api: APIClient, picture: Asset, settings: Any
) -> None:
    assert api.get(f"{ASSETS}/{picture.pk}").json()["discard_at"] is None
    api.delete(f"{ASSETS}/{picture.pk}")
    picture.refresh_from_db()
    assert picture.deleted_at
    assert picture.discard_at
    assert picture.discard_at - picture.deleted_at == settings.TRASH_LIFETIME == timedelta(days=30)
    body = api.get(f"{ASSETS}?trash=true").json()["results"]
    assert [row["id"] for row in body] == [str(picture.pk)]
    assert body[0]["discard_at"]
    assert body[0]["deleted_at"]
    assert trash.discard_due(until=inf) == 0
    assert files_of(picture)


def test_restoring(api: APIClient, picture: Asset) -> None:
    api.delete(f"{ASSETS}/{picture.pk}")
    body = api.post(f"{ASSETS}/{picture.pk}/restore").json()
    assert (body["id"], body["deleted_at"], body["discard_at"]) == (str(picture.pk), None, None)
    assert [row["id"] for row in api.get(ASSETS).json()["results"]] == [str(picture.pk)]
    assert api.get(f"{ASSETS}?trash=true").json()["results"] == []
    is_problem(api.post(f"{ASSETS}/{picture.pk}/restore"), 404, "not_found")


def test_who_may(
    api_with: Callable[..., APIClient], strangers_api: APIClient, api: APIClient, picture: Asset
) -> None:
    api.delete(f"{ASSETS}/{picture.pk}")
    reader = api_with("assets:read")
    assert len(reader.get(f"{ASSETS}?trash=true").json()["results"]) == 1
    is_problem(reader.post(f"{ASSETS}/{picture.pk}/restore"), 403, "scope_missing")
    is_problem(reader.delete(f"{ASSETS}/{picture.pk}?now=true"), 403, "scope_missing")
    assert strangers_api.get(f"{ASSETS}?trash=true").json()["results"] == []
    is_problem(strangers_api.post(f"{ASSETS}/{picture.pk}/restore"), 404, "not_found")
    is_problem(strangers_api.delete(f"{ASSETS}/{picture.pk}?now=true"), 404, "not_found")
    is_problem(api.get(f"{ASSETS}?trash=perhaps"), 400, "invalid")
    is_problem(api.delete(f"{ASSETS}/{picture.pk}?now=perhaps"), 400, "invalid")


@pytest.mark.parametrize("is_in_trash", [False, True])
def test_deleting_for_good(api: APIClient, picture: Asset, is_in_trash: bool) -> None:
    if is_in_trash:
        api.delete(f"{ASSETS}/{picture.pk}")
    assert api.delete(f"{ASSETS}/{picture.pk}?now=true").status_code == 204
    is_problem(api.post(f"{ASSETS}/{picture.pk}/restore"), 404, "not_found")
    is_problem(api.delete(f"{ASSETS}/{picture.pk}?now=true"), 404, "not_found")
    assert trash.discard_due(until=inf) == 1
    assert not files_of(picture)


def test_all_of_it_goes_and_the_row_stays_without_what_was_found_in_it(access: Access, picture: Asset) -> None:
    folder = folder_of(picture.workspace_id, picture.pk)
    for name in ("master.mp4", "preview.webp", "strip.webp", "rendition-1.webm"):
        default_storage.save(f"{folder}/{name}", ContentFile(b"x"))
    Rendition.objects.create(asset=picture, format="webm", quality="standard")
    Asset.objects.filter(pk=picture.pk).update(portrait={"faces": 1}, moderation={"score": 0.1})
    other = upload(access, picture_file())
    overdue(picture)
    assert trash.discard_due(until=inf) == 1
    assert not files_of(picture)
    assert files_of(other)
    picture.refresh_from_db()
    assert picture.discarded_at
    assert (picture.portrait, picture.moderation, Rendition.objects.count()) == (None, None, 0)
    assert trash.discard_due(until=inf) == 0


def test_a_clip_that_is_being_converted_waits_for_that(picture: Asset) -> None:
    overdue(picture)
    making = Rendition.objects.create(
        asset=picture, format="webm", quality="standard", state=Rendition.State.MAKING,
        lease_expires_at=timezone.now() + timedelta(minutes=1),
    )  # fmt: skip
    assert not trash.is_due()
    assert trash.discard_due(until=inf) == 0
    Rendition.objects.filter(pk=making.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert trash.discard_due(until=inf) == 1


def test_nothing_is_claimed_gone_while_the_storage_is_away(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = [upload(access, picture_file()) for _ in range(trash.PATIENCE + 2)]
    overdue(*pictures)
    tried = []

    def away(folder: str) -> None:
        tried.append(folder)
        raise StorageAway("no route to host")

    monkeypatch.setattr(trash, "discard_tree", away)
    assert trash.discard_due(until=inf) == 0
    assert len(tried) == trash.PATIENCE
    assert not Asset.objects.exclude(discarded_at=None).exists()
    monkeypatch.setattr(trash, "discard_tree", objects.discard_tree)
    assert trash.discard_due(until=inf) == len(pictures)
    assert not list(listing("workspaces"))


def test_one_that_cannot_be_removed_holds_up_no_other(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [upload(access, picture_file()) for _ in range(3)]
    overdue(*pictures)

    def choosy(folder: str) -> None:
        if folder.endswith(str(pictures[1].pk)):
            raise PermissionError(folder)
        objects.discard_tree(folder)

    monkeypatch.setattr(trash, "BATCH", 1)
    monkeypatch.setattr(trash, "discard_tree", choosy)
    assert trash.discard_due(until=inf) == 2
    assert list(Asset.objects.filter(discarded_at=None)) == [pictures[1]]


def test_a_round_ends_in_time(picture: Asset) -> None:
    overdue(picture)
    assert trash.discard_due(until=0) == 0
    assert files_of(picture)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_two_rounds_at_once(access: Access) -> None:
    pictures = [upload(access, picture_file()) for _ in range(8)]
    overdue(*pictures)
    at_once(*[lambda: trash.discard_due(until=inf)] * 2)
    assert not Asset.objects.filter(discarded_at=None).exists()
    assert not list(listing("workspaces"))


def test_what_is_not_in_the_trash_takes_room_and_what_is_does_not(access: Access, picture: Asset) -> None:
    assert used_bytes(access.workspace.pk) == picture.size_bytes
    trash.delete(access, picture.pk)
    assert used_bytes(access.workspace.pk) == 0
    with pytest.raises(NotFound):
        trash.delete(access, uuid4())


def test_upkeep_sees_to_it(picture: Asset) -> None:
    retain()  # finds nothing due, and asks for no round
    overdue(picture)
    retain()
    discard()
    assert not files_of(picture)
