"""Renditions and reissues over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks
from rest_framework.test import APIClient

from assets.models import Asset
from billing.models import Plan
from generation.outputs.renditions.making import make_next
from mutoscope.accounts.selectors import Access
from tests.conftest import is_problem
from tests.generation.outputs.clips import clip_in


@pytest.fixture
def clip(access: Access, tmp_path: Path) -> Asset:
    return clip_in(access.workspace, tmp_path)


@pytest.fixture
def path(clip: Asset) -> str:
    return f"/api/v1/assets/{clip.pk}/renditions"


def test_asked_for_followed_and_had(api: APIClient, path: str, clip: Asset) -> None:
    answer = api.post(path, {"format": "gif", "quality": "small"}, format="json")
    assert answer.status_code == 202
    told = answer.json()
    assert (told["asset"], told["state"], told["url"], told["error"]) == (str(clip.pk), "queued", None, None)
    assert api.get(f"{path}/{told['id']}").json() == told
    make_next()
    again = api.post(path, {"format": "gif", "quality": "small", "fps": None}, format="json")
    assert again.status_code == 200
    body = again.json()
    assert (body["id"], body["state"], body["media_type"]) == (told["id"], "ready", "image/gif")
    assert body["url"].endswith(".gif")
    assert body["size_bytes"] > 0
    assert api.get(path).json() == [body]


def test_refusals(api: APIClient, path: str, picture: Asset) -> None:
    body = is_problem(api.post(path, {"format": "avi"}, format="json"), 400, "invalid")
    assert body["errors"][0]["field"] == "format"
    is_problem(api.post(path, {"width": "wide"}, format="json"), 400, "invalid")
    Plan.objects.update(output_formats=["mp4"])
    body = is_problem(api.post(path, {"format": "gif"}, format="json"), 403, "not_in_plan")
    assert (body["limit"], body["allowed"], body["asked"]) == ("output_formats", ["mp4"], "gif")
    is_problem(api.post(f"/api/v1/assets/{picture.pk}/renditions", {}, format="json"), 400, "invalid")
    is_problem(api.get(f"{path}/{uuid4()}"), 404, "not_found")
    is_problem(api.get(f"/api/v1/assets/{uuid4()}/renditions"), 404, "not_found")


def test_it_is_the_workspaces_own(
    path: str, clip: Asset, strangers_api: APIClient, api_with: Callable[..., APIClient]
) -> None:
    is_problem(strangers_api.get(path), 404, "not_found")
    is_problem(strangers_api.post(path, {}, format="json"), 404, "not_found")
    is_problem(strangers_api.post(f"/api/v1/assets/{clip.pk}/reissue"), 404, "not_found")
    reader = api_with("assets:read")
    assert reader.get(path).json() == []
    is_problem(reader.post(path, {}, format="json"), 403, "scope_missing")
    is_problem(reader.post(f"/api/v1/assets/{clip.pk}/reissue"), 403, "scope_missing")
    is_problem(APIClient().get(path), 401, "not_authenticated")


def test_reissuing(
    api: APIClient,
    access: Access,
    tmp_path: Path,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    marked = clip_in(access.workspace, tmp_path, marked=True)
    asset, reissue = f"/api/v1/assets/{marked.pk}", f"/api/v1/assets/{marked.pk}/reissue"
    before = api.get(asset).json()
    assert before["is_marked"] is True
    assert api.get(reissue).json() == {"state": None, "error": None, "is_marked": True}
    answer = api.post(reissue)
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert api.get(f"{asset}/renditions").json() == []
    with django_capture_on_commit_callbacks(execute=True):
        make_next()
    assert api.get(reissue).json() == {"state": None, "error": None, "is_marked": False}
    after = api.get(asset).json()
    assert after["is_marked"] is False
    assert after["url"].rpartition("/")[2] != before["url"].rpartition("/")[2]
    is_problem(api.post(reissue), 409, "nothing_to_reissue")
    Plan.objects.update(watermark=True)
    Asset.objects.filter(pk=marked.pk).update(is_marked=True, master="x")
    body = is_problem(api.post(reissue), 403, "not_in_plan")
    assert body["limit"] == "watermark"
