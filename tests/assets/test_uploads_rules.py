"""Uploads straight to the storage: who may, what may be announced, what befalls tickets and parts on disk."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import redis
from django.utils import timezone
from rest_framework.test import APIClient

from assets import uploads
from assets.models import Upload
from assets.storage import PARTS, media
from assets.storage.links import Writing, sign_writing
from generation import tasks
from generation.uploads import complete, tend
from mutoscope.accounts.selectors import Access
from mutoscope.celery import MEDIA_QUEUE
from tests.assets.samples import photograph
from tests.assets.senders import Sender, put
from tests.conftest import BASE_DIR, is_problem, wait_for

UPLOADS = "/api/v1/uploads"
PHOTO = photograph("PNG")


def announced(api: APIClient, **more: Any) -> dict[str, Any]:
    answer = api.post(UPLOADS, {"name": "a.png", "size_bytes": 9, **more}, format="json")
    assert answer.status_code == 201, answer.content
    body: dict[str, Any] = answer.json()
    return body


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "a.png"}, "size_bytes"),
        ({"name": "a.png", "size_bytes": 0}, "size_bytes"),
        ({"name": "a.png", "size_bytes": -1}, "size_bytes"),
        ({"name": "x" * 256, "size_bytes": 1}, "name"),
        ({"name": "a.png", "size_bytes": 1, "sha256": "abc"}, "sha256"),
        ({"name": "a.png", "size_bytes": 1, "sha256": "0" * 64 + "\n1"}, "sha256"),
    ],
)
def test_what_cannot_be_announced(api: APIClient, body: dict[str, Any], field: str) -> None:
    problem = is_problem(api.post(UPLOADS, body, format="json"), 400, "invalid")
    assert field in {error["field"] for error in problem["errors"]}
    assert not Upload.objects.exists()


def test_a_file_may_be_too_large_and_uploads_too_many(
    api: APIClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.UPLOAD_MAX_BYTES = 1000
    answer = api.post(UPLOADS, {"name": "a.png", "size_bytes": 1001}, format="json")
    assert "1,000 bytes, but this one has 1,001" in is_problem(answer, 413, "too_large")["detail"]
    monkeypatch.setattr(uploads, "MAX_UNDER_WAY", 1)
    first = announced(api)
    is_problem(api.post(UPLOADS, {"name": "b.png", "size_bytes": 1}, format="json"), 429, "too_many_uploads")
    assert api.delete(f"{UPLOADS}/{first['id']}").status_code == 204
    announced(api)


def test_parts_grow_where_there_would_be_too_many(api: APIClient, settings: Any) -> None:
    settings.UPLOAD_MAX_BYTES, settings.UPLOAD_PART_BYTES = 10**9, 1000
    found = announced(api, size_bytes=10**8 + 1)
    assert found["part_size_bytes"] == 10_001
    assert len(found["parts"]) <= 10_000
    assert sum(part["size_bytes"] for part in found["parts"]) == 10**8 + 1


def test_an_upload_is_its_workspaces_own(
    api: APIClient, strangers_api: APIClient, api_with: Callable[..., APIClient]
) -> None:
    path = f"{UPLOADS}/{announced(api)['id']}"
    for method, address in (
        ("get", path), ("delete", path), ("post", f"{path}/parts"), ("post", f"{path}/complete"),
        ("get", f"{UPLOADS}/{uuid4()}"),
    ):  # fmt: skip
        is_problem(getattr(strangers_api, method)(address), 404, "not_found")
        assert APIClient().generic(method.upper(), address).status_code == 401
    reader = api_with("assets:read")
    assert reader.get(path).status_code == 200
    for method, address in (("post", UPLOADS), ("delete", path), ("post", f"{path}/parts")):
        is_problem(getattr(reader, method)(address), 403, "scope_missing")
    is_problem(api_with("jobs:read").get(path), 403, "scope_missing")
    assert Upload.objects.get().state == "open"


def test_a_storage_that_is_away_leaves_no_upload(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(incoming: object) -> str:
        raise OSError("the storage is away")

    monkeypatch.setattr(media(), "begin", away, raising=False)
    with pytest.raises(OSError, match="is away"):
        uploads.announce(access, "a.png", 9)
    assert not Upload.objects.exists()


def test_lost_tickets_are_made_again(
    access: Access, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    upload = uploads.announce(access, "a.png", 9)
    Path(settings.MEDIA_ROOT, "uploads", str(upload.pk), "1").write_bytes(b"x" * 9)
    broker = redis.Redis.from_url(settings.REDIS_URL)
    with django_capture_on_commit_callbacks(execute=True):
        complete(access, upload.pk)
        complete(access, upload.pk)
    assert broker.llen(MEDIA_QUEUE) == 1
    broker.flushdb()
    tend()
    assert broker.llen(MEDIA_QUEUE) == 1
    Upload.objects.update(lease_expires_at=timezone.now() + timedelta(seconds=60))  # somebody is at it
    tasks.tend_uploads()
    assert broker.llen(MEDIA_QUEUE) == 1


def test_without_a_broker_completing_works_all_the_same(
    access: Access, settings: Any, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    upload = uploads.announce(access, "a.png", 9)
    Path(settings.MEDIA_ROOT, "uploads", str(upload.pk), "1").write_bytes(b"x" * 9)
    monkeypatch.setattr("generation.uploads.app.conf.broker_url", "redis://127.0.0.1:1/0", raising=False)
    with django_capture_on_commit_callbacks(execute=True):
        assert complete(access, upload.pk).state == "inspecting"


def test_rows_of_uploads_that_ended_long_ago_are_forgotten(access: Access) -> None:
    ended, under_way, recent = (uploads.announce(access, "a.png", 9) for _ in range(3))
    for upload in (ended, recent):
        uploads.abandon(access, upload.pk)
    Upload.objects.exclude(pk=recent.pk).update(created_at=timezone.now() - timedelta(days=31))
    tasks.sweep_uploads()
    assert set(Upload.objects.all()) == {under_way, recent}


def test_parts_smaller_than_s3_takes_stop_the_start() -> None:
    path = os.pathsep.join([str(BASE_DIR), str(BASE_DIR / "platform")])
    done = subprocess.run(
        [sys.executable, "-c", "import mutoscope.settings"],
        env={**os.environ, "PYTHONPATH": path, "UPLOAD_PART_BYTES": "1000"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode
    assert "UPLOAD_PART_BYTES must be at least 5242880 (5 MiB, S3's own limit), but is 1000." in done.stderr


class TestOnDisk:
    """What arrives on local disk is there whole or not at all."""

    def _sender(self, server: str, api: APIClient) -> Sender:
        return Sender(server, api.token)  # type: ignore[attr-defined]

    def test_a_broken_connection_leaves_nothing(self, server: str, api: APIClient, settings: Any) -> None:
        upload = self._sender(server, api).announce(b"x" * 3_000_000)
        folder = Path(settings.MEDIA_ROOT, "uploads", upload["id"])
        target = urlsplit(upload["parts"][0]["url"])
        with socket.create_connection((target.hostname, target.port)) as line:
            line.sendall(
                f"PUT {target.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n".encode()
                + b"x" * 2_000_000
            )
            wait_for(lambda: list(folder.iterdir()), what="the first bytes")
            assert not media().received(uploads.incoming_of(Upload.objects.get()))
        wait_for(lambda: not list(folder.iterdir()), what="the end")

    def test_a_part_may_be_sent_again(self, server: str, api: APIClient, settings: Any) -> None:
        sender = self._sender(server, api)
        upload = sender.announce(PHOTO)
        assert put(upload["parts"][0], b"x" * len(PHOTO)).status_code == 200
        assert put(upload["parts"][0], PHOTO).status_code == 200
        (stored,) = Path(settings.MEDIA_ROOT, "uploads", upload["id"]).iterdir()
        assert stored.read_bytes() == PHOTO

    def test_even_a_signed_link_writes_into_the_storage_alone(self, server: str, settings: Any) -> None:
        Path(settings.MEDIA_ROOT).mkdir()
        for name in ("../secret", "/tmp/secret", "", "..", "workspaces/x", "uploads/x"):  # noqa: S108  never written
            token = sign_writing(Writing(name, 1), timedelta(hours=1))
            is_problem(put({"url": f"{server}{PARTS}{token}", "headers": {}}, b"x"), 404, "not_found")
        assert not Path(settings.MEDIA_ROOT).with_name("secret").exists()
