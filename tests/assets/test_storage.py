"""Media in S3: the same uploads and deletions, with presigned links that work without us and expire."""

from __future__ import annotations

import os
import subprocess
import sys
from math import inf
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from rest_framework.test import APIClient

from assets import trash
from assets.models import Asset
from mutoscope.deploy_check import PRODUCTION
from tests.conftest import BASE_DIR, is_problem, picture_file


def test_uploads_are_served_by_presigned_links(api: APIClient, bucket: Any, endpoint: str) -> None:
    body = api.post("/api/v1/assets", {"file": picture_file()}).json()
    asset = Asset.objects.get()
    assert {item.key for item in bucket.objects.all()} == {asset.file.name, asset.thumbnail.name}
    for link in (body["url"], body["thumbnail_url"]):
        assert link.startswith(f"{endpoint}/{bucket.name}/workspaces/{asset.workspace_id}/{asset.pk}/")
        response = httpx.get(link)
        assert response.status_code == 200
        assert response.headers["content-type"] in {"image/png", "image/webp"}
    assert len(httpx.get(body["url"]).content) == asset.size_bytes
    assert httpx.get(body["url"], headers={"Range": "bytes=0-7"}).content == b"\x89PNG\r\n\x1a\n"


def test_links_expire_and_are_signed_as_every_s3_takes_it(api: APIClient, bucket: Any, settings: Any) -> None:
    link = api.post("/api/v1/assets", {"file": picture_file()}).json()["url"]
    query = parse_qs(urlsplit(link).query)
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Expires"] == [str(int(settings.LINK_LIFETIME.total_seconds()))]


def test_deleting_for_good_removes_the_objects(api: APIClient, bucket: Any) -> None:
    asset = api.post("/api/v1/assets", {"file": picture_file()}).json()
    kept = api.post("/api/v1/assets", {"file": picture_file()}).json()
    assert api.delete(f"/api/v1/assets/{asset['id']}?now=true").status_code == 204
    assert trash.discard_due(until=inf) == 1
    assert {item.key.split("/")[2] for item in bucket.objects.all()} == {kept["id"]}


def test_links_for_saving_have_the_assets_own_name(api: APIClient, bucket: Any) -> None:
    body = api.post("/api/v1/assets", {"file": picture_file(name="Café au lait.jpg")}).json()
    saved = httpx.get(body["download_url"])
    assert saved.status_code == 200
    assert saved.headers["content-disposition"] == "attachment; filename*=UTF-8''Caf%C3%A9%20au%20lait.png"
    shown = httpx.get(body["url"])
    assert "content-disposition" not in shown.headers
    assert shown.headers["cache-control"] == "private, max-age=3600"
    assert httpx.get(body["url"], headers={"If-None-Match": shown.headers["etag"]}).status_code == 304


def test_links_are_for_one_object_and_one_method(api: APIClient, bucket: Any) -> None:
    body = api.post("/api/v1/assets", {"file": picture_file()}).json()
    path, _, query = body["url"].partition("?")
    assert httpx.get(path).status_code == 403
    assert httpx.get(f"{body['thumbnail_url'].partition('?')[0]}?{query}").status_code == 403
    assert httpx.put(body["url"], content=b"mine").status_code == 403
    assert httpx.get(body["url"].replace("X-Amz-Expires=3600", "X-Amz-Expires=36000")).status_code == 403


def test_a_link_to_a_file_that_s3_lost_is_an_error_there(api: APIClient, bucket: Any) -> None:
    link = api.post("/api/v1/assets", {"file": picture_file()}).json()["url"]
    bucket.objects.delete()
    assert httpx.get(link).status_code == 404


def test_the_settings_take_s3_from_the_environment() -> None:
    code = (
        "from mutoscope import settings as s; media = s.STORAGES['default'];"
        "print(media['BACKEND'], media['OPTIONS']['bucket_name'])"
    )
    path = os.pathsep.join([str(BASE_DIR), str(BASE_DIR / "platform")])
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **PRODUCTION, "PYTHONPATH": path},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["assets.storage.s3.PresignedS3Storage", PRODUCTION["S3_BUCKET"]]


class TestLargeForms:
    """With S3 on, what is large does not come through the web process."""

    @pytest.fixture(autouse=True)
    def _small_limit(self, settings: Any) -> None:
        settings.FORM_MAX_BYTES = 10_000

    @pytest.mark.parametrize("announced", [True, False])
    def test_they_are_told_to_go_straight_to_the_storage(
        self, server: str, api: APIClient, announced: bool
    ) -> None:
        key = {"Authorization": f"Bearer {api.token}"}  # type: ignore[attr-defined]
        content = b"x" * 20_000
        answer = httpx.post(
            f"{server}/api/v1/assets", headers=key, content=content if announced else iter([content]), timeout=20
        )
        problem = is_problem(answer, 413, "use_direct_upload")
        assert "/api/v1/uploads" in problem["detail"]
        assert "10,000" in problem["detail"]

    def test_what_is_too_large_for_that_is_told_so(self, server: str, settings: Any) -> None:
        settings.UPLOAD_MAX_BYTES = 15_000
        is_problem(httpx.post(f"{server}/api/v1/assets", content=b"x" * 20_000), 413, "too_large")
