"""Which models jobs are taken for: those that a worker has stood ready for, at any time."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from generation import catalog, checks, offers, services, workers
from generation.errors import ModelUnavailable
from generation.models import Job, LaneClock, Worker
from generation.scheduling.claims import Claimant, claim
from generation.scheduling.lanes import Lane
from generation.services import JobRequest
from generation.worker import identity
from generation.worker.report import Reporter
from mutoscope.accounts.selectors import Access
from tests.conftest import is_problem
from tests.generation.catalogs import SOME_WEIGHTS, add, like

REASON = "no worker here serves Kinora yet"


@pytest.fixture(autouse=True)
def kinora(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model with weights that nobody has served."""
    add(monkeypatch, like("still", slug="kinora", name="Kinora", weights=SOME_WEIGHTS))


def is_offered() -> bool:
    """Whether Kinora is, by both ways of asking."""
    reason = offers.why_not(catalog.models()["kinora"])
    assert offers.why_not_all().get("kinora", "") == reason
    return not reason


def ready_worker() -> Reporter:
    reporter = Reporter(identity.of_this_process([Lane("kinora", "paid")], name="a"))
    reporter.report()
    return reporter


def test_a_model_without_weights_is_offered_and_one_that_nobody_served_is_not(db: None) -> None:
    reasons = offers.why_not_all()
    assert reasons["kinora"] == REASON
    assert not reasons.keys() & {"preview", "still"}
    assert offers.why_not(catalog.models()["kinora"]) == REASON
    assert offers.why_not(catalog.models()["preview"]) == ""


def test_it_is_offered_once_a_worker_stands_ready_and_for_good(db: None) -> None:
    reporter = ready_worker()
    assert not is_offered()  # it loads, and may never get ready
    reporter.engine_started()
    reporter.report()
    assert is_offered()
    Worker.objects.update(seen_at="2020-01-01T00:00:00Z")
    assert workers.forget_workers() == 1
    assert is_offered()


def test_a_worker_of_before_that_was_noted_is_known_by_its_claims(db: None) -> None:
    assert claim([Lane("kinora", "free")], Claimant("w")) is None
    assert is_offered()


def test_the_licence_comes_first(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    licence = {"name": "Community", "commercial_use": False, "must_accept": True}
    add(monkeypatch, like("kinora", licence=licence), like("still", slug="bound", licence=licence))
    reasons = offers.why_not_all()
    assert "once an operator has accepted the Community" in reasons["kinora"]
    assert "once an operator has accepted the Community" in reasons["bound"]
    assert offers.why_not(catalog.models()["kinora"]) == reasons["kinora"]


def test_a_fleet_that_starts_from_none_names_its_models(db: None, settings: Any) -> None:
    settings.OFFERED_MODELS = ["kinora"]
    assert is_offered()
    assert checks.offered_models_exist() == []
    settings.OFFERED_MODELS = ["kinoras"]
    assert "but names 'kinoras'" in checks.offered_models_exist()[0].msg


def test_jobs_for_it_are_refused_and_so_are_estimates(access: Access, api: APIClient) -> None:
    wish = JobRequest(model="kinora", mode="t2v")
    for call in (services.submit, services.estimate):
        with pytest.raises(ModelUnavailable, match=REASON):
            call(access, wish)
    for path in ("/api/v1/jobs", "/api/v1/jobs/estimate"):
        answer = api.post(path, {"model": "kinora", "mode": "t2v"}, format="json")
        problem = is_problem(answer, 409, "model_unavailable")
        assert problem["errors"][0]["field"] == "model"
    assert not Job.objects.exists()
    LaneClock.objects.create(lane="kinora.paid")
    assert services.submit(access, wish).lane == "kinora.paid"


def test_the_api_says_why(api: APIClient) -> None:
    told = {model["slug"]: model for model in api.get("/api/v1/models").json()}
    assert (told["kinora"]["available"], told["kinora"]["why_not"]) == (False, REASON)
    assert (told["still"]["available"], told["still"]["why_not"]) == (True, "")
    assert api.get("/api/v1/models/kinora").json() == told["kinora"]


def test_all_models_are_two_queries(
    db: None, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    add(monkeypatch, *(like("kinora", slug=f"kinora-{number}") for number in range(12)))
    with django_assert_num_queries(2, exact=False):  # lanes, and licences where some must be accepted
        assert len(offers.why_not_all()) >= 13
    with django_assert_num_queries(0):
        assert offers.why_not(catalog.models()["still"]) == ""
