"""/api/v1/jobs and /api/v1/models: what integrators build on."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from assets import services as asset_services
from assets import trash
from assets.models import Asset
from generation import attempts, catalog, control, services
from generation.models import Adapter, Job
from generation.outputs.quality import verdict_on
from generation.outputs.quality.check import Check
from mutoscope.accounts.models import User
from mutoscope.accounts.selectors import Access
from tests.conftest import is_problem, picture_file
from tests.generation.lines import worker
from tests.generation.samples import finishing, running, submit, unsaved_clip

JOBS = "/api/v1/jobs"


def listed(api: APIClient, query: str = "") -> list[str]:
    response = api.get(f"{JOBS}?{query}")
    assert response.status_code == 200, response.content
    return [job["id"] for job in response.json()["results"]]


def test_a_job_is_made_and_told_complete(api: APIClient, picture: Asset) -> None:
    response = api.post(
        JOBS, {"model": "still", "picture": picture.pk, "prompt": "Öl 🎞", "seed": 7}, format="json"
    )
    assert response.status_code == 201
    body = response.json()
    told = {key: body[key] for key in ("state", "model", "mode", "tier", "picture", "prompt", "seed", "frames")}
    assert told == {
        "state": "queued", "model": "still", "mode": "i2v", "tier": "paid", "picture": str(picture.pk),
        "prompt": "Öl 🎞", "seed": 7, "frames": 8,
    }  # fmt: skip
    assert (body["output"], body["error"], body["attempt"]) == (None, None, 0)
    assert api.get(f"{JOBS}/{body['id']}").json() == body
    job = Job.objects.get()
    assert job.api_key is not None
    assert (job.api_key.workspace_id, job.created_by) == (job.workspace_id, None)


def test_the_clip_of_a_job_is_told(api: APIClient, access: Access) -> None:
    job = finishing(access)
    clip = unsaved_clip(job)
    attempts.succeed(job, clip)
    body = api.get(f"{JOBS}/{job.pk}").json()
    assert (body["state"], body["output"]["id"], body["output"]["kind"]) == ("succeeded", str(clip.pk), "video")
    assert body["output"]["url"]


def test_the_quality_of_a_clip_is_told_with_the_job_and_with_the_clip(api: APIClient, access: Access) -> None:
    job = finishing(access)
    clip = unsaved_clip(job)
    attempts.succeed(job, clip, Check(verdict_on(["flickers"]), {"flicker": 7.5, "last_frame": None}))
    other = submit(access)
    body = api.get(f"{JOBS}/{job.pk}").json()
    assert body["check"] == {
        "verdict": "doubtful",
        "problems": [{"code": "flickers", "sentence": "flickers"}],
        "figures": {"flicker": 7.5, "last_frame": None},
    }
    assert api.get(f"/api/v1/assets/{clip.pk}").json()["check"] == body["check"]
    assert [row["check"] for row in api.get(JOBS).json()["results"]] == [None, body["check"]]
    assert [row["check"] for row in api.get("/api/v1/assets").json()["results"]] == [body["check"]]
    assert api.get(f"{JOBS}/{other.pk}").json()["check"] is None


def test_telling_the_quality_costs_no_query_a_clip(
    api: APIClient, access: Access, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    def make(count: int) -> None:
        for _ in range(count):
            job = finishing(access)
            attempts.succeed(job, unsaved_clip(job), Check(verdict_on(["flickers"])))

    make(1)
    for address in (JOBS, "/api/v1/assets"):
        api.get(address)  # what is looked up once for the process
        with django_assert_num_queries(20, exact=False) as few:
            api.get(address)
        make(2)
        with django_assert_num_queries(len(few)):
            api.get(address)


def test_a_deleted_clip_is_told_no_more(api: APIClient, access: Access) -> None:
    job = finishing(access)
    clip = unsaved_clip(job)
    attempts.succeed(job, clip)
    trash.delete(access, clip.pk)
    assert api.get(f"{JOBS}/{job.pk}").json()["output"] is None
    assert api.get(JOBS).json()["results"][0]["output"] is None


def test_why_a_job_failed_is_told(api: APIClient, access: Access) -> None:
    job = running(access)
    attempts.fail(job, "bad_picture", "the picture is upside down")
    error = api.get(f"{JOBS}/{job.pk}").json()["error"]
    assert error == {"code": "bad_picture", "message": "the picture is upside down"}


def test_cancelling(api: APIClient, access: Access) -> None:
    job = submit(access)
    for _ in range(2):  # the second time is no error
        response = api.post(f"{JOBS}/{job.pk}/cancel")
        assert (response.status_code, response.json()["state"]) == (200, "cancelled")
    ended = running(access)
    attempts.fail(ended, "bad", "bad")
    is_problem(api.post(f"{JOBS}/{ended.pk}/cancel"), 409, "already_ended")


def test_events_are_told_from_where_one_left_off(api: APIClient, access: Access) -> None:
    job = finishing(access)
    events = api.get(f"{JOBS}/{job.pk}/events").json()
    assert [event["kind"] for event in events] == ["queued", "started", "finishing"]
    later = api.get(f"{JOBS}/{job.pk}/events?after={events[0]['id']}").json()
    assert later == events[1:]
    assert api.get(f"{JOBS}/{job.pk}/events?after={events[-1]['id']}").json() == []


@pytest.mark.parametrize("after", ["-1", "x", "1.5", "²", "9" * 30, "9" * 5000])
def test_a_bad_place_among_events_is_refused(api: APIClient, access: Access, after: str) -> None:
    problem = is_problem(
        api.get(f"{JOBS}/{submit(access).pk}/events?{urlencode({'after': after})}"), 400, "invalid"
    )
    assert problem["errors"][0]["field"] == "after"


@pytest.mark.parametrize("path", ["", "/events", "/cancel"])
def test_anothers_job_is_as_good_as_none(strangers_api: APIClient, access: Access, path: str) -> None:
    job = submit(access)
    method = strangers_api.post if path == "/cancel" else strangers_api.get
    foreign, missing = method(f"{JOBS}/{job.pk}{path}"), method(f"{JOBS}/{uuid4()}{path}")
    is_problem(foreign, 404, "not_found")
    assert foreign.json()["detail"].replace(str(job.pk), "") == "no job has the id "
    assert foreign.json().keys() == missing.json().keys()
    job.refresh_from_db()
    assert job.state == "queued"
    assert listed(strangers_api) == []


def test_anothers_picture_is_as_good_as_none(strangers_api: APIClient, picture: Asset) -> None:
    answers = [
        strangers_api.post(JOBS, {"model": "still", "picture": pk}, format="json") for pk in (picture.pk, uuid4())
    ]
    details = [is_problem(answer, 400, "picture_not_found")["detail"] for answer in answers]
    assert {detail.rpartition(" ")[0] for detail in details} == {"no asset has the id"}
    filtered = [strangers_api.get(f"{JOBS}?picture={pk}") for pk in (picture.pk, uuid4())]
    assert [answer.json() for answer in filtered] == [{"next": None, "previous": None, "results": []}] * 2


def test_a_key_sent_again_gives_the_same_job(api: APIClient, strangers_api: APIClient, picture: Asset) -> None:
    def post(client: APIClient, **body: Any) -> Any:
        wanted = {"model": "still", "mode": "t2v"} | body
        return client.post(JOBS, wanted, format="json", HTTP_IDEMPOTENCY_KEY="order-1")

    first = post(api)
    assert post(api).json() == first.json()
    is_problem(post(api, prompt="other"), 422, "idempotency_mismatch")
    other = post(strangers_api, prompt="other")
    assert other.status_code == 201
    assert other.json()["id"] != first.json()["id"]
    assert Job.objects.count() == 2
    problem = is_problem(
        api.post(JOBS, {"model": "still"}, HTTP_IDEMPOTENCY_KEY="k" * 256, format="json"), 400, "invalid"
    )
    assert problem["errors"][0]["field"] == "Idempotency-Key"


def test_pages_neither_skip_nor_repeat_while_jobs_come_in(api: APIClient, access: Access) -> None:
    before = [str(submit(access).pk) for _ in range(7)]
    seen: list[str] = []
    url = f"{JOBS}?limit=3"
    while url:
        page = api.get(url).json()
        seen += [job["id"] for job in page["results"]]
        submit(access)
        submit(access)
        url = page["next"]
    assert seen == before[::-1]


def test_filters(api: APIClient, access: Access, picture: Asset) -> None:
    queued = submit(access, picture)
    batch = submit(access, tier="batch")
    cancelled = submit(access)
    services.cancel(access, cancelled.pk)
    everything = [str(job.pk) for job in (cancelled, batch, queued)]
    day = timedelta(days=1)
    Job.objects.filter(pk=queued.pk).update(created_at=queued.created_at - day)
    border = (queued.created_at - day / 2).isoformat()
    for query, indexes in {
        "": [0, 1, 2], "state=": [0, 1, 2], "state=queued": [1, 2], "state=queued&state=cancelled": [0, 1, 2],
        "state=cancelled,queued": [0, 1, 2], "state=cancelled&state=failed,running": [0], "state=succeeded": [],
        "tier=batch": [1], "tier=paid&state=queued": [2], "model=still": [0, 1, 2], "model=preview": [],
        f"picture={picture.pk}": [2], urlencode({"created_after": border}): [0, 1],
        urlencode({"created_before": border}): [2], "unknown=1": [0, 1, 2],
    }.items():  # fmt: skip
        assert listed(api, query) == [everything[index] for index in indexes], query


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=done", "state"), ("state=queued,done", "state"), ("state=queued&state=done", "state"),
        ("tier=gold", "tier"), ("picture=x", "picture"), ("created_after=yesterday", "created_after"),
        ("created_before=%00", "created_before"),
    ],
)  # fmt: skip
def test_a_bad_filter_is_refused(api: APIClient, query: str, field: str) -> None:
    assert is_problem(api.get(f"{JOBS}?{query}"), 400, "invalid")["errors"][0]["field"] == field


@pytest.mark.parametrize(
    "cursor", ["x", "é", base64.b64encode(b"p=x").decode(), base64.b64encode(b"o=1&p=").decode()]
)
def test_a_bad_cursor_leads_nowhere(api: APIClient, access: Access, cursor: str) -> None:
    submit(access)
    response = api.get(f"{JOBS}?{urlencode({'cursor': cursor})}")
    assert response.status_code in {200, 404}
    if response.status_code == 404:
        is_problem(response, 404, "not_found")


@pytest.mark.parametrize(("path", "most"), [(JOBS, 11), ("/api/v1/assets", 4)])
def test_lists_cost_the_same_however_long(
    api: APIClient, access: Access, path: str, most: int, django_assert_num_queries: Callable[..., Any]
) -> None:
    def fill() -> None:
        for _ in range(3):
            submit(access, asset_services.upload(access, picture_file()))
            job = finishing(access)
            attempts.succeed(job, unsaved_clip(job))

    def queries() -> int:
        with django_assert_num_queries(most, exact=False) as counted:
            api.get(f"{path}?limit=100")
        return len(counted)

    queries()  # the first call notes that the key is used
    fill()
    few = queries()
    fill()
    assert queries() == few


def test_models_are_told_as_the_catalog_has_them(api: APIClient) -> None:
    models = {model["slug"]: model for model in api.get("/api/v1/models").json()}
    assert list(models) == list(catalog.models())
    still = api.get("/api/v1/models/still").json()
    assert still == models["still"]
    assert still["sizes"] == [{"name": "tiny", "width": 64, "height": 64, "ratio": "1:1"}]
    assert (still["fps"], still["min_seconds"], still["prompt"], still["modes"]) == (
        [8],
        0.5,
        "optional",
        ["i2v", "t2v"],
    )


def test_what_a_model_makes_of_a_wish_is_told(api: APIClient) -> None:
    told = api.get("/api/v1/models/zoetrope").json()
    assert told["canvas"] == {"multiple": 32}
    assert told["frames"] == {"multiple": 8, "plus": 1, "fewest": 9, "most": 81}
    assert [(preset["name"], preset["steps"]) for preset in told["presets"]] == [
        ("draft", 2), ("standard", None), ("high", 16),
    ]  # fmt: skip
    assert (told["lora"], told["sampling"]["max_steps"], told["modes"]) == (True, 50, ["i2v", "t2v", "flf2v"])
    preview = api.get("/api/v1/models/preview").json()
    assert (preview["sampling"], preview["presets"], preview["lora"]) == (None, [], False)


def test_a_job_tells_its_preset_its_pictures_and_what_the_engine_makes(api: APIClient, picture: Asset) -> None:
    Adapter.objects.create(name="ink", models_allowed=["zoetrope"], file="ink.safetensors")
    body = {
        "model": "zoetrope", "mode": "flf2v", "picture": picture.pk, "last_picture": picture.pk, "preset": "high",
        "adapters": [{"name": "ink", "strength": 0.5}],
    }  # fmt: skip
    answer = api.post(JOBS, body, format="json")
    assert answer.status_code == 201, answer.content
    told = answer.json()
    assert (told["preset"], told["steps"], told["last_picture"]) == ("high", 16, str(picture.pk))
    assert told["engine"] == {"width": 96, "height": 96, "frames": 9}
    assert told["adapters"] == [{"name": "ink", "strength": 0.5}]
    assert api.get(f"{JOBS}/{told['id']}").json() == told
    wrong = {**body, "adapters": [{"name": "ink", "strength": "strong"}]}
    is_problem(api.post(JOBS, wrong, format="json"), 400, "invalid")


def test_the_program_and_its_workspace(api: APIClient, alice: User) -> None:
    workspace = api.get("/api/v1/workspace").json()
    assert workspace["name"] == "Alice & Co"
    assert api.get("/api/v1/me").json()["workspace"] == workspace


def test_health(db: None, settings: Any) -> None:
    anybody = APIClient()
    assert anybody.get("/api/v1/health/live").json() == {"status": "ok"}
    assert anybody.get("/api/v1/health").json() == {"status": "ok", "checks": {"postgresql": "ok", "redis": "ok"}}
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    response = anybody.get("/api/v1/health")
    assert response.status_code == 503
    assert response.json() == {"status": "unavailable", "checks": {"postgresql": "ok", "redis": "unreachable"}}
    assert anybody.get("/api/v1/health/live").status_code == 200


def test_moments_may_come_in_any_offset(api: APIClient) -> None:
    assert api.get(JOBS, {"created_after": "3030-02-22T13:09:02+18:10"}).json()["results"] == []
    is_problem(api.get(JOBS, {"created_after": "0001-01-01T00:00:00+10:00"}), 400, "invalid")


def test_the_place_and_the_expected_end_are_told(api: APIClient, access: Access) -> None:
    first, second = submit(access), submit(access)
    told = api.get(f"{JOBS}/{second.pk}").json()
    assert told["queue"] == {
        "position": 2, "throttled": False, "paused": False, "pause_reason": "", "no_worker": True,
    }  # fmt: skip
    assert told["eta"] is None
    worker()
    told = {job["id"]: job for job in api.get(JOBS).json()["results"]}
    assert [told[str(job.pk)]["queue"]["position"] for job in (first, second)] == [1, 2]
    eta = told[str(second.pk)]["eta"]
    assert eta.keys() == {"starts_at", "ends_at", "earliest", "latest"}
    assert eta["earliest"] <= eta["ends_at"] <= eta["latest"]
    control.pause("still.paid", reason="repairs")
    told = api.get(f"{JOBS}/{second.pk}").json()
    assert (told["queue"]["paused"], told["queue"]["pause_reason"], told["eta"]) == (True, "repairs", None)


def test_a_job_that_runs_has_an_end_and_no_place(api: APIClient, access: Access) -> None:
    job = running(access)
    told = api.get(f"{JOBS}/{job.pk}").json()
    assert told["queue"] is None
    assert told["eta"]["starts_at"] is None
    attempts.fail(job, "bad", "bad")
    told = api.get(f"{JOBS}/{job.pk}").json()
    assert (told["queue"], told["eta"]) == (None, None)
