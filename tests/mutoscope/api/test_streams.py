"""Live events: the whole job at every change of state, progress in between, and an end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
import redis
from django.conf import settings
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from assets.models import Asset
from generation import control, live, services
from generation.models import Job
from generation.services import JobRequest
from mutoscope.accounts.models import User
from mutoscope.accounts.selectors import Access
from mutoscope.api import streams
from tests.conftest import is_problem, wait_for

Events = Iterator[tuple[str, dict[str, Any]]]


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(streams, "LOOK_SHARE", 1)


@pytest.fixture
def job(server: str, access: Access, picture: Asset) -> Job:
    return services.submit(access, JobRequest(model="still", picture=picture.pk))


def address(server: str, job_id: object) -> str:
    return f"{server}/api/v1/jobs/{job_id}/events/stream"


def bearer(client: APIClient) -> dict[str, str]:
    return {"Authorization": f"Bearer {client.token}"}  # type: ignore[attr-defined]


def events_of(response: httpx.Response) -> Events:
    event, deadline = "", time.monotonic() + 20
    for line in response.iter_lines():
        if time.monotonic() > deadline:  # looked at with every ping at the latest
            pytest.fail("the stream goes on and on")
        if line.startswith("event:"):
            event = line.removeprefix("event:").strip()
        elif line.startswith("data:"):
            yield event, json.loads(line.removeprefix("data:"))


@contextmanager
def stream(server: str, job: Job, client: APIClient) -> Iterator[Events]:
    with httpx.stream("GET", address(server, job.pk), headers=bearer(client), timeout=20) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["x-request-id"]
        yield events_of(response)


def publish_when_heard(job: Job, message: dict[str, Any]) -> None:
    """Publish once the server's subscription is there."""
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        wait_for(lambda: client.publish(live.channel(job.pk), json.dumps(message)), what="a listener")


def channels() -> set[str]:
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        return {name.decode() for name in client.pubsub_channels("mutoscope:job:*")}


def test_the_first_event_is_the_job_as_the_api_tells_it(server: str, api: APIClient, job: Job) -> None:
    with stream(server, job, api) as events:
        event, body = next(events)
    assert event == "job"
    assert (body["id"], body["state"], body["progress"]) == (str(job.pk), "queued", 0)
    assert body.keys() == api.get(f"/api/v1/jobs/{job.pk}").json().keys()


def test_progress_is_relayed(server: str, api: APIClient, job: Job) -> None:
    with stream(server, job, api) as events:
        next(events)
        publish_when_heard(job, {"type": "progress", "progress": 0.5, "step": 4, "steps": 8})
        assert next(events) == ("progress", {"progress": 0.5, "step": 4, "steps": 8})


def test_the_stream_ends_with_the_job(server: str, api: APIClient, access: Access, job: Job) -> None:
    with stream(server, job, api) as events:
        assert next(events)[1]["state"] == "queued"
        services.cancel(access, job.pk)
        *_, (event, body) = events  # until the server ends the answer
    assert (event, body["state"]) == ("job", "cancelled")


def test_a_job_that_has_ended_is_one_event(server: str, api: APIClient, access: Access, job: Job) -> None:
    services.cancel(access, job.pk)
    with stream(server, job, api) as events:
        assert [(event, body["state"]) for event, body in events] == [("job", "cancelled")]


def test_every_listener_hears(server: str, api: APIClient, access: Access, job: Job) -> None:
    with stream(server, job, api) as first, stream(server, job, api) as second:
        for events in (first, second):
            next(events)
        services.cancel(access, job.pk)
        assert [list(events)[-1][1]["state"] for events in (first, second)] == ["cancelled"] * 2


def test_a_job_is_heard_of_by_its_own_listeners_only(
    server: str, api: APIClient, access: Access, picture: Asset, job: Job
) -> None:
    other = services.submit(access, JobRequest(model="still", picture=picture.pk))
    with stream(server, job, api) as events:
        next(events)
        services.cancel(access, other.pk)
        publish_when_heard(job, {"type": "progress", "progress": 0.1})
        assert next(events) == ("progress", {"progress": 0.1})


def test_a_message_that_got_lost_is_made_up_for(
    server: str, api: APIClient, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "RECHECK_SECONDS", 0.2)
    with stream(server, job, api) as events:
        next(events)
        Job.objects.filter(pk=job.pk).update(state="cancelled", ended_at=timezone.now())  # and nobody says so
        assert [body["state"] for _, body in events] == ["cancelled"]


def test_a_listener_who_leaves_leaves_nothing_behind(server: str, api: APIClient, job: Job) -> None:
    with stream(server, job, api) as events:
        next(events)
        wait_for(lambda: channels() == {live.channel(job.pk)}, what="a subscription")
    wait_for(lambda: not channels(), seconds=10, what="the end of the subscription")


def test_a_broken_connection_to_redis_is_mended(server: str, api: APIClient, access: Access, job: Job) -> None:
    with stream(server, job, api) as events:
        next(events)
        wait_for(channels, what="a subscription")
        with redis.Redis.from_url(settings.REDIS_URL) as client:
            assert client.execute_command("CLIENT", "KILL", "TYPE", "pubsub") >= 1
        services.cancel(access, job.pk)  # most likely while nobody is subscribed
        assert list(events)[-1][1]["state"] == "cancelled"
        services_again = services.cancel(access, job.pk)
        assert services_again.state == "cancelled"
    with stream(server, job, api) as events:  # and the server is as good as before
        assert len(list(events)) == 1


def test_nonsense_on_the_wire_stops_nobody(server: str, api: APIClient, access: Access, job: Job) -> None:
    with stream(server, job, api) as events:
        next(events)
        wait_for(channels, what="a subscription")
        with redis.Redis.from_url(settings.REDIS_URL) as client:
            client.publish("mutoscope:hub", "what?")
            client.publish(live.channel(job.pk), "not json")
            client.publish(live.channel(job.pk), "{}")
        services.cancel(access, job.pk)
        assert list(events)[-1][1]["state"] == "cancelled"


def test_a_session_is_as_good_as_a_key(server: str, job: Job, alice: User, bob: User) -> None:
    for person in (alice, bob):
        browser = Client()
        browser.force_login(person)
        cookies = {"sessionid": browser.cookies["sessionid"].value}
        with httpx.stream("GET", address(server, job.pk), cookies=cookies) as response:
            assert next(events_of(response))[1]["id"] == str(job.pk)


def test_strangers_are_refused(
    server: str, job: Job, strangers_api: APIClient, charlie: User, api_with: Callable[..., APIClient]
) -> None:
    def get(job_id: object = job.pk, **kwargs: Any) -> httpx.Response:
        return httpx.get(address(server, job_id), timeout=10, **kwargs)

    for headers in ({}, {"Authorization": "Bearer muto_no"}, {"Authorization": "Basic eDp5"}):
        response = get(headers=headers)
        is_problem(response, 401, "not_authenticated")
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
    is_problem(get(cookies={"sessionid": "forgedforgedforged"}), 401, "not_authenticated")
    is_problem(get(headers=bearer(strangers_api)), 404, "not_found")
    browser = Client()
    browser.force_login(charlie)
    is_problem(get(cookies={"sessionid": browser.cookies["sessionid"].value}), 404, "not_found")
    unscoped = api_with("jobs:write", "assets:read")
    assert is_problem(get(headers=bearer(unscoped)), 403, "scope_missing")["scope"] == "jobs:read"
    is_problem(get(uuid4(), headers=bearer(strangers_api)), 404, "not_found")


def test_the_key_is_read_as_everywhere_else(server: str, api: APIClient, job: Job) -> None:
    token = api.token  # type: ignore[attr-defined]
    with httpx.stream("GET", address(server, job.pk), headers={"Authorization": f"bearer {token}"}) as response:
        assert response.status_code == 200
    is_problem(httpx.get(address(server, job.pk), headers={"Authorization": token}), 401, "not_authenticated")


def test_who_waits_is_told_how_the_line_moves(server: str, api: APIClient, access: Access, job: Job) -> None:
    second = services.submit(access, JobRequest(model="still", mode="t2v"))
    with stream(server, second, api) as events:
        event, body = next(events)
        assert (event, body["queue"]["position"], body["queue"]["no_worker"]) == ("job", 2, True)
        services.cancel(access, job.pk)
        event, told = next(events)
        assert event == "queue"
        assert told.keys() == {"queue", "eta"}
        assert told["queue"] == {**body["queue"], "position": 1}
        control.pause("still", reason="repairs")
        event, told = next(events)
        assert (event, told["queue"]["paused"], told["queue"]["pause_reason"]) == ("queue", True, "repairs")
        services.cancel(access, second.pk)
        assert [body["state"] for _, body in events] == ["cancelled"]


def test_a_line_that_stands_still_is_told_once(server: str, api: APIClient, access: Access, job: Job) -> None:
    with stream(server, job, api) as events:
        next(events)
        time.sleep(1)  # ten looks
        services.cancel(access, job.pk)
        assert [event for event, _ in events] == ["job"]


@pytest.mark.parametrize(
    ("was", "now", "is_news"),
    [
        (100, 105, False), (100, 150, True), (1000, 1100, False), (1000, 1300, True), (1000, 700, True),
        (None, 100, True), (100, None, True), (None, None, False),
    ],
)  # fmt: skip
def test_an_end_that_moves_much_is_news(was: int | None, now: int | None, is_news: bool) -> None:
    moment = timezone.now()

    def line(seconds: int | None) -> streams.Line:
        eta = None if seconds is None else {"ends_at": (moment + timedelta(seconds=seconds)).isoformat()}
        return streams.Line({"position": 2}, eta)

    assert line(now).is_news(line(was)) is is_news
    assert line(now).is_news(streams.Line({"position": 3}, line(now).eta))


def test_lines_are_looked_at_all_at_once(
    access: Access, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    jobs = [services.submit(access, JobRequest(model="still", mode="t2v")) for _ in range(20)]
    with django_assert_num_queries(9):
        lines = streams._lines([job.pk for job in jobs])
    assert [line.queue and line.queue["position"] for line in (lines[job.pk] for job in jobs)] == [*range(1, 21)]
