"""What crashes leave behind is put right, once, however often and by however many it is looked for."""

from __future__ import annotations

import logging
import socket
import time
from typing import Any

import pytest
import redis
from celery import Celery
from celery.exceptions import CeleryError
from rest_framework.test import APIClient

from assets.models import Asset
from generation import live, recovery, services, tasks
from generation.models import Attempt, Job
from generation.scheduling import tickets
from generation.scheduling.claims import Claimant, claim
from mutoscope.accounts.selectors import Access
from mutoscope.celery import UPKEEP_QUEUE, _configuration, app
from tests.generation.samples import PAID, at_once, expire, finishing, kinds, running, submit


def waiting_tickets(settings: Any, lane: object = PAID) -> int:
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        return client.llen(str(lane))


@pytest.mark.parametrize("start", [running, finishing])
def test_a_lost_job_goes_back_to_its_lane(
    access: Access, start: Any, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    job = start(access)
    expire(job)
    with django_capture_on_commit_callbacks(execute=True):
        assert recovery.return_lost_jobs() == 1
    job.refresh_from_db()
    assert (job.state, job.attempt, job.progress, job.lease_expires_at) == ("queued", 1, 0.0, None)
    attempt = job.attempts.get()
    assert (attempt.outcome, attempt.reason) == (Attempt.Outcome.LOST, "the worker stopped answering")
    assert attempt.ended_at is not None
    assert kinds(job)[-1] == "returned"
    assert waiting_tickets(settings) == 1
    again = claim([PAID], Claimant("w2"))
    assert again is not None
    assert (again.pk, again.attempt) == (job.pk, 2)


def test_a_job_whose_lease_holds_is_left_alone(access: Access) -> None:
    job = running(access)
    assert recovery.return_lost_jobs() == 0
    job.refresh_from_db()
    assert job.state == "running"


def test_at_the_cap_a_lost_job_fails(access: Access, settings: Any) -> None:
    settings.JOB_MAX_ATTEMPTS = 1
    job = running(access)
    expire(job)
    assert recovery.return_lost_jobs() == 1
    job.refresh_from_db()
    assert (job.state, job.error_code) == ("failed", "worker_lost")
    assert job.error_message == "the worker stopped answering (tried 1 times)"
    assert job.attempts.get().outcome == Attempt.Outcome.LOST


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_two_recoveries_at_once_return_a_job_once(access: Access) -> None:
    jobs = [running(access) for _ in range(5)]
    for job in jobs:
        expire(job)
    assert sum(at_once(*[recovery.return_lost_jobs] * 4)) == 5
    for job in jobs:
        assert kinds(job) == ["queued", "started", "returned"]


def test_exactly_the_missing_tickets_are_sent(access: Access, settings: Any) -> None:
    for _ in range(3):
        submit(access)  # no ticket: the transaction of this test is never committed
    submit(access, tier="batch")
    tickets.issue("still.paid")
    assert recovery.reissue_tickets() == 3
    assert (waiting_tickets(settings), waiting_tickets(settings, "still.batch")) == (3, 1)
    assert recovery.reissue_tickets() == 0
    assert waiting_tickets(settings) == 3


def test_jobs_that_do_not_wait_need_no_ticket(access: Access) -> None:
    running(access)
    services.cancel(access, submit(access).pk)
    assert recovery.reissue_tickets() == 0


def test_a_model_that_left_the_catalog_holds_up_nobody(access: Access, settings: Any) -> None:
    gone, lost, waiting = running(access), running(access), submit(access)
    for job in (gone, lost):
        expire(job)
    Job.objects.filter(pk=gone.pk).update(model="gone", lane="gone.paid")
    assert recovery.return_lost_jobs() == 2
    assert recovery.reissue_tickets() == 2
    assert waiting_tickets(settings) == 2
    assert Job.objects.filter(state="queued").count() == 3
    assert waiting.lane == str(PAID)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_submitting_sends_one_ticket(access: Access, settings: Any) -> None:
    submit(access)
    assert waiting_tickets(settings) == 1


@pytest.fixture
def redis_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens where Redis should be, neither for tickets nor for live messages."""
    nowhere = "redis://127.0.0.1:1/0"
    lost = Celery("lost", set_as_current=False)
    lost.add_defaults({**_configuration(), "broker_url": nowhere})
    monkeypatch.setattr(tickets, "app", lost)
    client = redis.Redis.from_url(nowhere, socket_timeout=2, socket_connect_timeout=2)
    monkeypatch.setattr(live, "_client", lambda: client)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_broker_that_is_away_costs_no_job(
    redis_away: None, api: APIClient, picture: Asset, caplog: pytest.LogCaptureFixture
) -> None:
    began = time.monotonic()
    with caplog.at_level(logging.WARNING):
        response = api.post("/api/v1/jobs", {"model": "still", "picture": picture.pk}, format="json")
    assert response.status_code == 201
    assert time.monotonic() - began < 4
    assert Job.objects.get().state == "queued"
    assert any("no ticket could be sent to still.paid" in line for line in caplog.messages)


def test_a_broker_that_is_silent_is_not_waited_for(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()  # connections are made, and nobody ever answers
        lost = type(app)("lost", set_as_current=False)
        address = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        lost.add_defaults({**_configuration(), "broker_url": address})
        monkeypatch.setattr(tickets, "app", lost)
        began = time.monotonic()
        assert tickets.issue("still.paid") == 0
        assert time.monotonic() - began < 5  # consumers wait for 10


def test_tickets_that_cannot_be_counted_hold_up_nothing(
    access: Access, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    submit(access)
    lost = Celery("lost", set_as_current=False)
    lost.add_defaults({**_configuration(), "broker_url": "redis://127.0.0.1:1/0"})
    monkeypatch.setattr(recovery, "app", lost)
    assert recovery.reissue_tickets() == 0
    assert any("tickets could not be counted" in line for line in caplog.messages)


def test_a_lane_that_is_none_is_an_error_and_no_queue(settings: Any, db: None) -> None:
    assert tickets.issue("still.gold") == 0
    with pytest.raises(CeleryError):
        app.send_task(tickets.TASK, args=["still.gold"], queue="still.gold")
    assert waiting_tickets(settings, "still.gold") == 0


def test_a_round_of_upkeep_does_both(access: Access, settings: Any) -> None:
    expire(running(access))
    submit(access)
    tasks.recover()
    assert waiting_tickets(settings) == 2
    assert UPKEEP_QUEUE in {queue.name for queue in app.conf.task_queues}
