"""What a job would come to: the same checks and the same numbers as of the job, and nothing is made."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from assets.models import Asset
from billing.errors import LimitReached
from billing.models import Plan
from generation import control, services
from generation.errors import InvalidJob
from generation.forecast.outlook import outlook
from generation.forecast.pace import Span
from generation.models import Flow, Job, JobEvent
from generation.services import JobRequest
from mutoscope.accounts.selectors import Access
from tests.conftest import is_problem
from tests.generation.lines import queued, worker, workspace_of
from tests.generation.samples import running

ESTIMATE = "/api/v1/jobs/estimate"


def zoetrope(**wishes: Any) -> JobRequest:
    return JobRequest(**({"model": "zoetrope", "mode": "t2v"} | wishes))


def test_what_the_engine_makes_and_what_is_delivered(access: Access) -> None:
    found = services.estimate(access, zoetrope(seconds=1.5, preset="draft"))
    assert (found.seconds, found.size, found.tier) == (1.5, "tiny", "paid")
    assert (found.engine.width, found.engine.height, found.engine.frames) == (96, 96, 17)
    assert found.engine.seconds == 2.125
    assert (found.clip.width, found.clip.height, found.clip.frames, found.clip.seconds) == (96, 72, 12, 1.5)
    assert found.preset is not None
    assert (found.preset.name, found.steps, found.guidance) == ("draft", 2, 1.0)
    assert found.credits == 2
    assert found.engine_seconds == Span(0.02, pytest.approx(0.02 / 3), pytest.approx(0.06))


def test_nothing_is_made(access: Access) -> None:
    services.estimate(access, zoetrope())
    assert not Job.objects.exists()
    assert not JobEvent.objects.exists()
    assert not Flow.objects.exists()


def test_it_refuses_what_submitting_refuses(access: Access) -> None:
    with pytest.raises(InvalidJob, match="needs a picture"):
        services.estimate(access, zoetrope(mode="i2v"))
    Plan.objects.filter(slug="studio").update(queued_jobs=1)
    services.submit(access, zoetrope())
    with pytest.raises(LimitReached):
        services.estimate(access, zoetrope())


def test_the_outlook_is_the_one_that_the_job_then_has(access: Access) -> None:
    worker()
    busy = workspace_of(1)
    for _ in range(3):
        queued(busy, work_ms=2000)
    for number in range(3):
        request = JobRequest(model="still", mode="t2v", steps=40 * (number + 1))
        before = services.estimate(access, request).outlook
        after = outlook(services.submit(access, request))
        assert after is not None
        assert before.starts_in is not None
        assert after.starts_in is not None
        assert (before.position, before.throttled) == (after.position, after.throttled)
        assert before.starts_in.likely == pytest.approx(after.starts_in.likely, rel=0.01)
        assert before.ends_in is not None
        assert after.ends_in is not None
        assert before.ends_in.likely == pytest.approx(after.ends_in.likely, rel=0.01)


def test_obstacles_are_told(access: Access) -> None:
    request = JobRequest(model="still", mode="t2v")
    found = services.estimate(access, request).outlook
    assert (found.position, found.no_worker, found.ends_in) == (1, True, None)
    worker()
    control.pause("still.paid", reason="repairs")
    found = services.estimate(access, request).outlook
    assert found.pause is not None
    assert (found.pause.reason, found.ends_in) == ("repairs", None)


def test_a_workspace_that_runs_all_it_may_is_held_back(access: Access) -> None:
    worker()
    Plan.objects.filter(slug="studio").update(concurrent_jobs=1)
    running(access)
    found = services.estimate(access, JobRequest(model="still", mode="t2v")).outlook
    assert (found.position, found.throttled, found.limit) == (1, True, 1)
    assert found.starts_in is not None
    assert found.starts_in.likely > 0


def test_a_job_for_later_has_no_place_yet(access: Access) -> None:
    worker()
    found = services.estimate(access, zoetrope(not_before=timezone.now() + timedelta(days=1)))
    assert (found.outlook.position, found.outlook.ends_in) == (None, None)


def test_the_api_tells_it(api: APIClient, picture: Asset) -> None:
    worker()
    body = {"model": "zoetrope", "picture": str(picture.pk), "last_picture": str(picture.pk), "mode": "flf2v"}
    told = api.post(ESTIMATE, body, format="json")
    assert told.status_code == 200, told.content
    estimate = told.json()
    assert estimate["engine"] == {"width": 96, "height": 96, "frames": 9, "fps": 8, "seconds": 1.125}
    assert estimate["clip"] == {"width": 96, "height": 72, "frames": 9, "fps": 8, "seconds": 1.125}
    assert (estimate["preset"]["name"], estimate["steps"], estimate["credits"]) == ("standard", 8, 3)
    assert estimate["engine_seconds"].keys() == {"likely", "low", "high"}
    assert (estimate["queue"]["position"], estimate["queue"]["no_worker"], estimate["eta"]) == (1, True, None)
    still = api.post(ESTIMATE, {"model": "still", "mode": "t2v"}, format="json").json()
    assert still["preset"] is None
    assert still["eta"].keys() == {"starts_at", "ends_at", "earliest", "latest"}
    assert not Job.objects.exists()


def test_who_may_not_submit_may_not_estimate(api_with: Any, strangers_api: APIClient, picture: Asset) -> None:
    body = {"model": "still", "picture": str(picture.pk)}
    is_problem(api_with("jobs:read").post(ESTIMATE, body, format="json"), 403, "scope_missing")
    is_problem(strangers_api.post(ESTIMATE, body, format="json"), 400, "picture_not_found")
    is_problem(APIClient().post(ESTIMATE, body, format="json"), 401, "not_authenticated")
    is_problem(strangers_api.get(ESTIMATE), 405, "method_not_allowed")


def test_its_queries_do_not_grow_with_the_line(
    access: Access, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    worker()
    request = JobRequest(model="still", mode="t2v")
    with django_assert_num_queries(18, exact=False) as alone:
        services.estimate(access, request)
    for number in range(3):
        busy = workspace_of(number)
        for _ in range(4):
            queued(busy)
    with django_assert_num_queries(len(alone)):
        services.estimate(access, request)
