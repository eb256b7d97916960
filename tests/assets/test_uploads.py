"""Uploads straight to the storage: the same cases on local disk, through the real web server, and on S3."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from assets import arrivals, uploads
from assets.models import Asset, Upload
from assets.selectors import used_bytes
from assets.storage import media
from billing.models import Plan
from generation.uploads import inspect, tend
from generation.uploads import upload as keep
from mutoscope.accounts.models import Workspace
from tests.assets.samples import photograph
from tests.assets.senders import MIB, Sender, noise, put
from tests.conftest import RunManage, is_problem, wait_for

PART = 5 * MIB
PHOTO = photograph("JPEG")


@pytest.fixture(params=["disk", "s3"])
def sender(request: pytest.FixtureRequest, settings: Any, server: str, api: APIClient) -> Sender:
    """A program with a key of alice's workspace, once with media on local disk and once with media in S3."""
    settings.UPLOAD_PART_BYTES = PART
    if request.param == "s3":
        request.getfixturevalue("bucket")
    return Sender(server, api.token)  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def large() -> bytes:
    """Three parts: two whole ones and a smaller one."""
    return noise(2 * PART + MIB)


@pytest.fixture
def pieces(settings: Any) -> bytes:
    """Three parts so small that S3 takes them, but does not put them together."""
    settings.UPLOAD_PART_BYTES = 1000
    return noise(2500)


def holds_nothing() -> bool:
    return not list(media().held())


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What the calls give, made at the same time."""
    results: list[Any] = []
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> None:
        start.wait()
        try:
            results.append(call())
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[call]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_a_small_file_is_one_part(sender: Sender) -> None:
    upload = sender.announce(PHOTO, "Café.jpg")
    assert [part["size_bytes"] for part in upload["parts"]] == [len(PHOTO)]
    assert (upload["state"], upload["asset"], upload["error"]) == ("open", None, None)
    assert upload["links_expire_at"] < upload["expires_at"]
    answer = put(upload["parts"][0], PHOTO)
    assert answer.status_code == 200
    assert answer.headers["etag"] == f'"{hashlib.md5(PHOTO).hexdigest()}"'  # noqa: S324  as S3 has it
    assert sender.complete(upload).status_code == 202
    inspect(upload["id"])
    told = sender.state(upload)
    assert told["state"] == "ready"
    asset = Asset.objects.get()
    assert told["asset"]["id"] == str(asset.pk)
    assert (asset.name, asset.sha256) == ("Café.jpg", hashlib.sha256(PHOTO).hexdigest())
    assert asset.workspace_id == Upload.objects.get().workspace_id
    assert holds_nothing()
    assert len(httpx.get(told["asset"]["url"]).content) == asset.size_bytes


def test_a_large_file_comes_in_parts(sender: Sender, large: bytes) -> None:
    upload = sender.sent(large, "noise.wav", sha256=hashlib.sha256(large).hexdigest().upper())
    assert [part["size_bytes"] for part in upload["parts"]] == [PART, PART, MIB]
    inspect(upload["id"])
    asset = sender.state(upload)["asset"]
    assert (asset["kind"], asset["sha256"]) == ("audio", hashlib.sha256(large).hexdigest())
    assert asset["seconds"] == pytest.approx((len(large) - 44) / 96_000)
    assert holds_nothing()
    whole = httpx.get(asset["url"]).content
    middle = httpx.get(asset["url"], headers={"Range": f"bytes={PART - 5}-{PART + 4}"})
    assert (middle.status_code, middle.content) == (206, whole[PART - 5 : PART + 5])
    assert middle.headers["content-range"] == f"bytes {PART - 5}-{PART + 4}/{len(whole)}"
    assert middle.headers["content-type"] == "audio/wav"


@pytest.mark.parametrize("change", [-1, 1], ids=["shorter", "longer"])
def test_a_part_of_another_size_is_refused(sender: Sender, change: int) -> None:
    upload = sender.announce(PHOTO)
    content = PHOTO[:change] if change < 0 else PHOTO + b"x"
    assert put(upload["parts"][0], content).status_code in (400, 403)
    assert put(upload["parts"][0], iter([content])).status_code in (400, 403)  # no length announced
    problem = is_problem(sender.complete(upload), 409, "parts_missing")
    assert problem["parts"] == [{"number": 1, "size_bytes": len(PHOTO), "received_bytes": None}]


def test_a_link_expires_and_can_be_had_anew(sender: Sender, settings: Any) -> None:
    settings.UPLOAD_LINK_LIFETIME = timedelta(seconds=1)
    upload = sender.announce(PHOTO)
    time.sleep(2)
    assert put(upload["parts"][0], PHOTO).status_code in (403, 404)
    settings.UPLOAD_LINK_LIFETIME = timedelta(minutes=15)
    fresh = sender.call("POST", f"/{upload['id']}/parts").json()
    assert put(fresh["parts"][0], PHOTO).status_code == 200


def test_links_never_outlive_the_upload(sender: Sender, settings: Any) -> None:
    settings.UPLOAD_LIFETIME = timedelta(minutes=2)
    upload = sender.announce(PHOTO)
    assert upload["links_expire_at"] == upload["expires_at"]


def test_a_link_is_for_one_part_of_one_upload_and_for_sending_alone(sender: Sender, pieces: bytes) -> None:
    upload, other = sender.announce(pieces), sender.announce(PHOTO)
    first, second = (part["url"] for part in upload["parts"][:2])
    base, mark, secret = first.rpartition("Signature=") if "Signature=" in first else first.rpartition(":")
    forged = [
        base + mark + secret[::-1],
        first[:-1],
        first.replace("partNumber=1", "partNumber=3"),
        first.replace(upload["id"], other["id"]),
        base + mark + second.rpartition(mark)[2],
    ]
    for url in set(forged) - {first}:
        assert httpx.put(url, content=pieces[:1000]).status_code in (403, 404), url
    for method in ("GET", "POST", "DELETE"):
        assert httpx.request(method, first).status_code in (403, 404, 405), method
    assert sender.call("POST", f"/{upload['id']}/parts").json()["parts"][0]["number"] == 1


def test_what_is_missing_is_told_and_sent_again(sender: Sender) -> None:
    content = noise(PART + 1000)
    upload = sender.announce(content, "noise.wav")
    sender.send_parts(upload, content, {2})
    problem = is_problem(sender.complete(upload), 409, "parts_missing")
    assert problem["parts"] == [{"number": 1, "size_bytes": PART, "received_bytes": None}]
    assert "1 of 2 parts" in problem["detail"]
    missing = sender.call("POST", f"/{upload['id']}/parts").json()
    assert [part["number"] for part in missing["parts"]] == [1]
    named = sender.call("POST", f"/{upload['id']}/parts", numbers=[2]).json()
    assert [part["number"] for part in named["parts"]] == [2]
    is_problem(sender.call("POST", f"/{upload['id']}/parts", numbers=[3]), 400, "refused")
    sender.send_parts(upload | missing, content)
    sender.send_parts(upload | named, content)  # twice is once
    assert sender.complete(upload).status_code == 202
    inspect(upload["id"])
    assert sender.state(upload)["asset"]["sha256"] == hashlib.sha256(content).hexdigest()


def test_two_at_once_make_one_asset(sender: Sender) -> None:
    upload = sender.announce(PHOTO)
    sender.send_parts(upload, PHOTO)
    answers = at_once(*[lambda: sender.complete(upload)] * 3)
    assert [answer.status_code for answer in answers] == [202] * 3
    at_once(*[lambda: inspect(upload["id"])] * 3)
    assert Asset.objects.count() == 1
    assert sender.complete(upload).json()["state"] == "ready"
    assert Upload.objects.get().attempts == 1


def test_it_can_be_given_up(sender: Sender, pieces: bytes) -> None:
    upload, small = sender.announce(pieces), sender.announce(PHOTO)
    sender.send_parts(upload, pieces, {2})
    for one in (upload, small):
        assert sender.call("DELETE", f"/{one['id']}").status_code == 204
        assert sender.call("DELETE", f"/{one['id']}").status_code == 204
        assert sender.state(one)["state"] == "abandoned"
        is_problem(sender.complete(one), 409, "upload_ended")
        is_problem(sender.call("POST", f"/{one['id']}/parts"), 409, "upload_ended")
    assert holds_nothing()
    assert put(upload["parts"][0], pieces[:1000]).status_code in (404, 500)  # over which moto stumbles
    put(small["parts"][0], PHOTO)  # S3 does not know that it has ended
    uploads.sweep()
    assert holds_nothing()


def test_what_is_not_completed_in_time_is_removed(sender: Sender, pieces: bytes) -> None:
    upload, alive = sender.announce(pieces), sender.announce(pieces)
    for one in (upload, alive):
        sender.send_parts(one, pieces, {1})
    Upload.objects.filter(pk=upload["id"]).update(expires_at=timezone.now() - timedelta(seconds=1))
    is_problem(sender.complete(upload), 409, "upload_ended")
    tend()
    assert sender.state(upload)["state"] == "abandoned"
    assert uploads.sweep() == 0
    assert {str(held.id) for held in media().held()} == {alive["id"]}
    sender.send_parts(alive, pieces, {2, 3})
    assert sender.complete(alive).status_code == 202


def test_what_no_row_knows_of_is_swept(sender: Sender, pieces: bytes) -> None:
    whole, half, alive = sender.announce(PHOTO), sender.announce(pieces), sender.announce(PHOTO)
    for one, content in ((whole, PHOTO), (half, pieces), (alive, PHOTO)):
        sender.send_parts(one, content, {1})
    Upload.objects.exclude(pk=alive["id"]).delete()  # as a deleted workspace does
    assert uploads.sweep() == 2
    assert {str(held.id) for held in media().held()} == {alive["id"]}


def test_what_is_no_media_is_refused_with_the_reason(sender: Sender) -> None:
    upload = sender.sent(b"just some text, no picture at all\n" * 9, "photo.jpg")
    inspect(upload["id"])
    told = sender.state(upload)
    assert (told["state"], told["asset"], told["error"]["code"]) == ("refused", None, "type_mismatch")
    assert "The name of this file promises a JPEG picture" in told["error"]["message"]
    assert not Asset.objects.exists()
    assert holds_nothing()
    is_problem(sender.call("DELETE", f"/{upload['id']}"), 409, "upload_ended")


def test_what_arrives_as_something_else_is_refused(sender: Sender) -> None:
    wanted = hashlib.sha256(PHOTO).hexdigest()
    upload = sender.sent(PHOTO[:-1] + b"x", sha256=wanted)
    inspect(upload["id"])
    told = sender.state(upload)["error"]
    assert told["code"] == "checksum_mismatch"
    assert wanted in told["message"]
    assert not Asset.objects.exists()


def test_given_up_while_it_is_looked_into(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = sender.sent(PHOTO)

    def slow(*arguments: Any, **options: Any) -> Asset:
        assert sender.call("DELETE", f"/{upload['id']}").status_code == 204
        return keep(*arguments, **options)

    arrivals.look_into(upload["id"], keep=slow)
    assert sender.state(upload)["state"] == "abandoned"
    assert not Asset.objects.exists()
    assert holds_nothing()


def test_a_fault_of_ours_is_tried_again_and_in_the_end_told(sender: Sender) -> None:
    upload = sender.sent(PHOTO)

    def broken(*arguments: Any, **options: Any) -> Asset:
        raise OSError("the disk is full")

    for attempt in range(1, arrivals.MAX_ATTEMPTS + 1):
        with pytest.raises(OSError, match="the disk is full"):
            arrivals.look_into(upload["id"], keep=broken)
        row = Upload.objects.get()
        assert (row.state, row.attempts) == ("inspecting", attempt)
        assert row.lease_expires_at
        assert row.lease_expires_at > timezone.now()
        inspect(upload["id"])  # too early: it is let rest
        assert Upload.objects.get().attempts == attempt
        assert arrivals.waiting() == []
        Upload.objects.update(lease_expires_at=timezone.now())
        assert arrivals.waiting() == [row.pk]
    inspect(upload["id"])
    assert sender.state(upload)["error"]["code"] == "inspection_failed"
    assert holds_nothing()


def test_a_crashed_media_worker_costs_a_lease(sender: Sender) -> None:
    upload = sender.sent(PHOTO)
    dead = arrivals._take_up(Upload.objects.get().pk)
    assert dead
    inspect(upload["id"])
    assert sender.state(upload)["state"] == "inspecting"
    Upload.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    inspect(upload["id"])
    asset = Asset.objects.get()
    with pytest.raises(arrivals._Lost):  # it comes back, too late
        arrivals._accept(dead, asset)
    assert sender.state(upload)["asset"]["id"] == str(asset.pk)


@pytest.mark.processes
def test_a_media_worker_makes_the_asset(sender: Sender, manage: RunManage) -> None:
    first = sender.sent(noise(MIB), "noise.wav")
    with manage("media"):
        second = sender.sent(PHOTO)
        for upload in (first, second):
            wait_for(lambda: sender.state(upload)["state"] == "ready", what="the asset")  # noqa: B023
    assert Asset.objects.count() == 2
    assert holds_nothing()


class TestRoom:
    """A plan's room is looked at when a file is announced, and again when its asset is made."""

    @pytest.fixture(autouse=True)
    def _small(self, workspace: Workspace) -> None:
        Plan.objects.filter(subscriptions__workspace=workspace).update(storage_mib=3)

    def test_when_announced(self, sender: Sender) -> None:
        problem = is_problem(sender.call("POST", "", name="a", size_bytes=4 * MIB), 429, "limit_reached")
        assert problem["limit"] == "storage_mib"
        waiting = sender.announce(b"x" * 2 * MIB)
        problem = is_problem(sender.call("POST", "", name="a", size_bytes=2 * MIB), 429, "limit_reached")
        assert "0 MiB are used, other uploads under way have 2 MiB, and the file has 2 MiB" in problem["detail"]
        sender.call("DELETE", f"/{waiting['id']}")
        sender.announce(b"x" * 2 * MIB)

    def test_when_made(self, sender: Sender, workspace: Workspace) -> None:
        upload = sender.sent(PHOTO)
        Plan.objects.filter(subscriptions__workspace=workspace).update(storage_mib=0)
        inspect(upload["id"])
        assert sender.state(upload)["error"]["code"] == "limit_reached"
        assert used_bytes(workspace.pk) == 0
        assert holds_nothing()
