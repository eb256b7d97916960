"""Every error of the API is problem JSON (RFC 9457), whatever part of the house it comes from."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest
from django.db import OperationalError, connection
from django.test import Client
from rest_framework.test import APIClient

from assets.models import Asset
from billing.models import Plan
from generation import selectors
from mutoscope.accounts.models import Workspace
from tests.conftest import is_problem, picture_file

JOBS = "/api/v1/jobs"


def test_malformed_json(api: APIClient) -> None:
    is_problem(api.post(JOBS, "{oops", content_type="application/json"), 400, "parse_error")


def test_a_database_that_does_not_answer(api: APIClient) -> None:
    def gone(execute: Any, sql: str, *arguments: Any) -> Any:
        if "generation_job" in sql:
            raise OperationalError("couldn't get a connection after 10.00 sec")
        return execute(sql, *arguments)

    with connection.execute_wrapper(gone):
        answer = api.get(JOBS)
    assert "connection" not in is_problem(answer, 503, "unavailable")["detail"]
    assert answer["Retry-After"] == "5"


@pytest.mark.parametrize("body", ["[]", '"text"', "1", "null", "{}"])
def test_json_that_is_no_job(api: APIClient, body: str) -> None:
    problem = is_problem(api.post(JOBS, body, content_type="application/json"), 400, "invalid")
    assert problem["errors"]
    assert all(error["message"] for error in problem["errors"])


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_numbers_that_are_none(api: APIClient, picture: Asset, number: str) -> None:
    for field in ("seconds", "guidance"):
        body = f'{{"model": "still", "picture": "{picture.pk}", "{field}": {number}}}'
        problem = api.post(JOBS, body, content_type="application/json")
        assert problem.json()["code"] in {"parse_error", "invalid"}, problem.content
        is_problem(problem, 400, problem.json()["code"])
        body = f'{{"model": "still", "picture": "{picture.pk}", "{field}": "{number}"}}'
        is_problem(api.post(JOBS, body, content_type="application/json"), 400, "invalid")


def test_validation_names_every_field_at_fault(api: APIClient) -> None:
    body = {"model": "still", "picture": "no-uuid", "seconds": "long", "seed": "x"}
    problem = is_problem(api.post(JOBS, body, format="json"), 400, "invalid")
    assert {error["field"] for error in problem["errors"]} == {"picture", "seconds", "seed"}


def test_a_refusal_of_ours_names_its_field(api: APIClient, picture: Asset) -> None:
    body = {"model": "still", "picture": picture.pk, "seconds": 9999}
    problem = is_problem(api.post(JOBS, body, format="json"), 400, "invalid")
    assert problem["errors"] == [{"field": "seconds", "message": problem["detail"]}]
    assert "between 0.5 and 60, but is 9999" in problem["detail"]


def test_nobody(db: None) -> None:
    is_problem(APIClient().get(JOBS), 401, "not_authenticated")


@pytest.mark.parametrize(
    "path", ["/api/v1/nothing", "/api/", "/api/v2/jobs", "/api/v1/jobs/not-an-id", "/api/v1/jobs/"]
)
def test_no_such_place(api: APIClient, path: str) -> None:
    is_problem(api.get(path), 404, "not_found")


def test_no_such_job(api: APIClient) -> None:
    unknown = uuid4()
    assert str(unknown) in is_problem(api.get(f"{JOBS}/{unknown}"), 404, "not_found")["detail"]


def test_no_such_model(api: APIClient) -> None:
    assert "preview" in is_problem(api.get("/api/v1/models/sora"), 404, "not_found")["detail"]


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_no_such_method(api: APIClient, method: str) -> None:
    response = getattr(api, method)(JOBS)
    is_problem(response, 405, "method_not_allowed")
    assert "POST" in response.headers["Allow"]


def test_media_types_that_are_not_taken(api: APIClient) -> None:
    is_problem(
        api.post(JOBS, "model=still", content_type="application/x-www-form-urlencoded"),
        415,
        "unsupported_media_type",
    )
    is_problem(api.post("/api/v1/assets", {"file": "x"}, format="json"), 415, "unsupported_media_type")


def test_malformed_uploads(api: APIClient) -> None:
    is_problem(api.post("/api/v1/assets", b"--x", content_type="multipart/form-data"), 400, "parse_error")
    is_problem(api.post("/api/v1/assets", {}), 400, "invalid")
    is_problem(api.post("/api/v1/assets", {"file": "just text"}), 400, "invalid")


def test_too_many_parts(api: APIClient) -> None:
    is_problem(api.post("/api/v1/assets", {f"f{n}": picture_file(8, 8) for n in range(101)}), 400, "bad_request")


def test_a_picture_over_its_limit(api: APIClient, settings: Any) -> None:
    settings.PICTURE_MAX_BYTES = 100
    problem = is_problem(api.post("/api/v1/assets", {"file": picture_file()}), 413, "too_large")
    assert "at most 100 bytes" in problem["detail"]


def test_a_limit_that_is_used_up(api: APIClient, picture: Asset, workspace: Workspace) -> None:
    Plan.objects.filter(subscriptions__workspace=workspace).update(queued_jobs=1)
    body = {"model": "still", "picture": picture.pk}
    assert api.post(JOBS, body, format="json").status_code == 201
    refused = api.post(JOBS, body, format="json")
    assert is_problem(refused, 429, "limit_reached")["allowed"] == 1
    assert 0 < int(refused.headers["Retry-After"]) <= 60


def test_a_key_used_for_another_request(api: APIClient, picture: Asset) -> None:
    body = {"model": "still", "picture": picture.pk}
    assert api.post(JOBS, body, format="json", HTTP_IDEMPOTENCY_KEY="k").status_code == 201
    again = api.post(JOBS, {**body, "prompt": "other"}, format="json", HTTP_IDEMPOTENCY_KEY="k")
    is_problem(again, 422, "idempotency_mismatch")


def test_a_host_we_do_not_answer_to(api: APIClient, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["clips.example.com"]
    is_problem(api.get(JOBS, HTTP_HOST="evil.example"), 400, "bad_request")


def test_a_fault_of_ours_says_no_more_than_the_request_id(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("the secret is 42")

    monkeypatch.setattr(selectors, "jobs", broken)
    api.raise_request_exception = False
    response = api.get(JOBS)
    is_problem(response, 500, "internal")
    assert b"42" not in response.content


def test_outside_the_api_errors_are_pages(client: Client, db: None) -> None:
    response = client.get("/nothing/here")
    assert response.status_code == 404
    assert response.headers["content-type"].startswith("text/html")


def test_every_answer_has_a_request_id_which_its_problem_names(server: str, api: APIClient) -> None:
    token = api.token  # type: ignore[attr-defined]
    with httpx.Client(base_url=server) as web:
        key = {"Authorization": f"Bearer {token}"}
        given = {"X-Request-ID": uuid4().hex}
        for path, headers in [
            ("/api/v1/me", key), ("/api/v1/me", {}), ("/api/v1/nothing", key), ("/nothing", {}),
            ("/files/forged/x.png", {}), (f"/api/v1/jobs/{uuid4()}/events/stream", {}),
            (f"/api/v1/jobs/{uuid4()}/events/stream", key), ("/api/v1/health", {}),
        ]:  # fmt: skip
            response = web.get(path, headers=headers | given)
            assert response.headers.get_list("x-request-id") == [given["X-Request-ID"]], path
            if response.headers["content-type"] == "application/problem+json":
                assert response.json()["instance"] == f"urn:mutoscope:request:{given['X-Request-ID']}"
        ids = {web.get("/api/v1/health/live").headers["x-request-id"] for _ in range(3)}
        assert len(ids) == 3
        assert web.get("/api/v1/me", headers={"X-Request-ID": "<script>"}).headers["x-request-id"] != "<script>"


def test_a_fault_before_django_is_told_like_any_other(
    server: str, api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selectors, "job", lambda *_: 1 / 0)
    response = httpx.get(
        f"{server}/api/v1/jobs/{uuid4()}/events/stream",
        headers={"Authorization": f"Bearer {api.token}"},  # type: ignore[attr-defined]
    )
    body = is_problem(response, 500, "internal")
    assert body["instance"].endswith(response.headers["x-request-id"])
