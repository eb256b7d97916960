"""Files by signed link, and the limit on request bodies: what is answered before Django."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from django.core.files.storage import default_storage
from rest_framework.test import APIClient

from assets.models import Asset
from assets.storage import Incoming, Part, media
from tests.conftest import is_problem, picture_file


def link_parts(asset: Asset) -> tuple[str, str, str]:
    link = urlsplit(asset.file.url)
    _, files, token, name = link.path.split("/")
    assert files == "files"
    return f"{link.scheme}://{link.netloc}/files", token, name


def stored(folder: str) -> list[Path]:
    return [path for path in Path(folder).rglob("*") if path.is_file()]


def test_a_link_works_without_a_key(server: str, picture: Asset) -> None:
    assert picture.file.url.startswith(f"{server}/files/")
    response = httpx.get(picture.file.url)
    assert response.status_code == 200
    assert response.content == Path(picture.file.path).read_bytes()
    assert response.headers["content-type"] == picture.media_type
    assert response.headers["content-disposition"].startswith("inline")
    assert "sandbox" in response.headers["content-security-policy"]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "private" in response.headers["cache-control"]


@pytest.mark.parametrize(
    ("asked", "first", "last"), [("bytes=0-9", 0, 9), ("bytes=10-", 10, None), ("bytes=-7", -7, None)]
)
def test_parts_of_files_can_be_asked_for(
    server: str, picture: Asset, asked: str, first: int, last: int | None
) -> None:
    whole = Path(picture.file.path).read_bytes()
    response = httpx.get(picture.file.url, headers={"Range": asked})
    assert response.status_code == 206
    assert response.content == whole[first : None if last is None else last + 1]
    assert response.headers["content-range"].endswith(f"/{len(whole)}")


def test_a_part_beyond_the_end_is_refused(server: str, picture: Asset) -> None:
    assert httpx.get(picture.file.url, headers={"Range": "bytes=99999999-"}).status_code == 416


def test_a_link_can_be_for_saving_under_the_assets_own_name(server: str, api: APIClient) -> None:
    body = api.post("/api/v1/assets", {"file": picture_file(name="Café au lait.jpg")}).json()
    response = httpx.get(body["download_url"])
    assert response.headers["content-disposition"] == "attachment; filename*=utf-8''Caf%C3%A9%20au%20lait.png"
    assert response.headers["content-type"] == "image/png"


def test_a_file_is_not_sent_again_to_who_has_it(server: str, picture: Asset) -> None:
    first = httpx.get(picture.file.url)
    for known in (first.headers["etag"], f'W/{first.headers["etag"]}, "another"'):
        again = httpx.get(picture.file.url, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert again.headers["cache-control"] == first.headers["cache-control"]
    assert httpx.get(picture.file.url, headers={"If-None-Match": '"another"'}).status_code == 200


def test_its_headers_can_be_asked_for_alone(server: str, picture: Asset) -> None:
    response = httpx.head(picture.file.url)
    assert (response.status_code, response.content) == (200, b"")
    assert int(response.headers["content-length"]) == picture.size_bytes
    assert response.headers["accept-ranges"] == "bytes"


def test_the_type_is_the_files_whatever_the_link_calls_it(server: str, picture: Asset) -> None:
    base, token, _ = link_parts(picture)
    response = httpx.get(f"{base}/{token}/page.html")
    assert response.headers["content-type"] == picture.media_type
    assert "page.html" not in response.headers["content-disposition"]


def test_forged_links_lead_nowhere(server: str, picture: Asset) -> None:
    base, token, name = link_parts(picture)
    payload, signature = token.split(":")
    other, _ = default_storage.url("secrets/django").split("/")[-2].split(":")
    for_writing = media().part_link(Incoming(uuid4(), 9, 9), Part(1, 9), timedelta(hours=1)).url.rsplit("/")[-1]
    for forged in (
        "x", token[:-1], token[1:], payload, f"{payload}x:{signature}", f"{other}:{signature}", f"{payload}:",
        f"{payload}:{signature}:{signature}", "%00", "é:é:é", for_writing,
    ):  # fmt: skip
        is_problem(httpx.get(f"{base}/{forged}/{name}"), 404, "not_found")


def test_a_link_expires(server: str, picture: Asset, settings: Any) -> None:
    settings.LINK_LIFETIME = timedelta(seconds=-1)
    is_problem(httpx.get(picture.file.url), 404, "not_found")


def test_a_link_to_a_file_that_is_gone_leads_nowhere(server: str, picture: Asset) -> None:
    link = picture.file.url
    Path(picture.file.path).unlink()
    is_problem(httpx.get(link), 404, "not_found")


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "a/../../secret", "..", "../media-of-others/x", "", "workspaces"]
)
def test_even_a_signed_link_leaves_the_storage_never(server: str, settings: Any, name: str) -> None:
    Path(settings.MEDIA_ROOT, "workspaces").mkdir(parents=True)
    Path(settings.MEDIA_ROOT).with_name("secret").write_text("42")
    is_problem(httpx.get(f"{default_storage.url(name).rsplit('/', 1)[0]}/x"), 404, "not_found")


def test_dots_in_the_address_lead_nowhere(server: str, picture: Asset, settings: Any) -> None:
    Path(settings.MEDIA_ROOT).with_name("secret").write_text("42")
    base, token, _ = link_parts(picture)
    for path in ("..%2f..%2fsecret", "%2e%2e/%2e%2e/secret", "..\\secret"):
        response = httpx.get(f"{base}/{token}/{path}")
        assert response.content != b"42"


class TestBodyLimit:
    @pytest.fixture(autouse=True)
    def _small_limit(self, settings: Any) -> None:
        settings.UPLOAD_MAX_BYTES = settings.FORM_MAX_BYTES = 10_000

    def post(self, server: str, api: APIClient, **body: Any) -> httpx.Response:
        key = {"Authorization": f"Bearer {api.token}"}  # type: ignore[attr-defined]
        return httpx.post(f"{server}/api/v1/assets", headers=key | body.pop("headers", {}), timeout=20, **body)

    def test_what_is_below_it_is_taken(self, server: str, api: APIClient) -> None:
        assert self.post(server, api, files={"file": picture_file().file}).status_code == 201

    def test_an_announced_length_over_it_is_refused_unread(
        self, server: str, api: APIClient, settings: Any
    ) -> None:
        response = self.post(server, api, files={"file": b"x" * 20_000})
        is_problem(response, 413, "too_large")
        assert "10,000" in response.json()["detail"]
        assert response.headers["x-request-id"]
        assert not Asset.objects.exists()
        assert not stored(settings.MEDIA_ROOT)

    def test_a_body_that_grows_over_it_is_refused(self, server: str, api: APIClient, settings: Any) -> None:
        sent = 0

        def endless() -> Iterator[bytes]:
            nonlocal sent
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
            for _ in range(100):
                sent += 1000
                yield b"x" * 1000

        response = self.post(
            server, api, content=endless(), headers={"Content-Type": "multipart/form-data; boundary=b"}
        )
        is_problem(response, 413, "too_large")
        assert not Asset.objects.exists()
        assert not stored(settings.MEDIA_ROOT)
