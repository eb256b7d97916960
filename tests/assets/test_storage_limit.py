"""A library has as much room as the plan gives it: uploads past it are refused and leave nothing behind."""

from __future__ import annotations

import pytest
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from assets.models import Asset
from assets.selectors import used_bytes
from assets.services import upload
from assets.trash import delete
from billing.models import Plan
from mutoscope.accounts.models import Workspace
from mutoscope.accounts.selectors import Access
from tests.conftest import is_problem, picture_file
from tests.mutoscope.dashboard.sending import announce

ASSETS = "/api/v1/assets"


@pytest.fixture
def full(picture: Asset, workspace: Workspace) -> Asset:
    """A picture that fills the library to the last byte but one."""
    Plan.objects.filter(subscriptions__workspace=workspace).update(storage_mib=1)
    Asset.objects.filter(pk=picture.pk).update(size_bytes=2**20 - 1)
    return picture


def _files(workspace: Workspace) -> list[str]:
    """Every file that is stored for it."""
    home = f"workspaces/{workspace.pk}"
    return [
        name
        for folder in default_storage.listdir(home)[0]
        for name in default_storage.listdir(f"{home}/{folder}")[1]
    ]


@pytest.mark.usefixtures("full")
def test_an_upload_over_the_api(api: APIClient, workspace: Workspace) -> None:
    answer = api.post(ASSETS, {"file": picture_file()})
    problem = is_problem(answer, 429, "limit_reached")
    assert problem["detail"].startswith("the plan Studio allows 1 MiB of files; 1 MiB are used, and the file has ")
    assert (problem["limit"], problem["allowed"], problem["used"]) == ("storage_mib", 1, 1.0)
    assert problem["resets_at"] is None
    assert problem["errors"][0]["field"] == "file"
    assert "Retry-After" not in answer.headers
    assert Asset.objects.count() == 1
    assert len(_files(workspace)) == 2  # the picture's and its thumbnail


@pytest.mark.usefixtures("full")
def test_an_upload_on_the_pages(access: Access, client: Client) -> None:
    assert access.user is not None
    client.force_login(access.user)
    answer = announce(client, "still.png", picture_file().read())
    assert answer.status_code == 429
    assert "the plan Studio allows 1 MiB of files" in answer.content.decode()
    html = client.post(reverse("dashboard:upload"), {"file": picture_file()}, follow=True).content.decode()
    assert "still.png: the plan Studio allows 1 MiB of files" in html
    html = client.post(reverse("dashboard:create"), {"model": "still", "file": picture_file()}).content.decode()
    assert "the plan Studio allows 1 MiB of files" in html
    assert Asset.objects.count() == 1


def test_deleting_makes_room(full: Asset, access: Access, api: APIClient) -> None:
    delete(access, full.pk)
    assert used_bytes(access.workspace.pk) == 0
    assert api.post(ASSETS, {"file": picture_file()}).status_code == 201
    assert used_bytes(access.workspace.pk) == Asset.objects.get(deleted_at=None).size_bytes


def test_a_refusal_after_the_file_was_stored_takes_it_away_again(
    access: Access, workspace: Workspace, picture: Asset
) -> None:
    """Another upload may have taken the room meanwhile: it is looked at once more, with the workspace locked."""
    looks = []

    def admit(used: int, asked: int) -> None:
        looks.append((used, asked))
        if len(looks) == 2:
            raise ValueError("taken")

    with pytest.raises(ValueError, match="taken"):
        upload(access, picture_file(), admit=admit)
    assert looks == [(picture.size_bytes, picture.size_bytes)] * 2
    assert len(_files(workspace)) == 2  # the picture's and its thumbnail
