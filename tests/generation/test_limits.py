"""Every limit of a plan: kept by the service and told by the API, with its value, what was asked and its reset."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from assets import trash
from assets.models import Asset
from billing import ledger
from billing.errors import InsufficientCredits, LimitReached, NotInPlan
from billing.models import Entry, Plan, PlanOverride
from billing.renewals import day_of, month_of
from billing.services import subscribe
from generation import attempts, limits, recovery, services
from generation.errors import InvalidJob
from generation.models import Flow, Job
from generation.scheduling.claims import Claimant, claim
from generation.services import JobRequest
from mutoscope.accounts.models import Workspace
from mutoscope.accounts.selectors import Access
from mutoscope.errors import Refusal
from tests.conftest import is_problem
from tests.generation.lines import queued
from tests.generation.samples import PAID, finishing, running, submit, unsaved_clip

JOBS, ESTIMATE = "/api/v1/jobs", "/api/v1/jobs/estimate"


def plan_of(workspace: Workspace, **columns: Any) -> None:
    Plan.objects.filter(subscriptions__workspace=workspace).update(**columns)


def agreed(workspace: Workspace, limit: str, value: Any, *, days: float = 1) -> PlanOverride:
    return PlanOverride.objects.create(
        workspace=workspace,
        limit=limit,
        value=value,
        reason="a test",
        ends_at=timezone.now() + timedelta(days=days),
    )


def zoetrope(**wishes: Any) -> JobRequest:
    return JobRequest(**({"model": "zoetrope", "mode": "t2v"} | wishes))


NOT_IN_PLAN = [
    ("tiers", ["free"], {"tier": "batch"}, "tier", "the plan Studio does not have the tier 'batch'; it has free"),
    (
        "allowed_models", ["still", "preview"], {}, "model",
        "the plan Studio does not have the model 'zoetrope'; it has still, preview",
    ),
    (
        "allowed_presets", ["draft", "standard"], {"preset": "high"}, "preset",
        "the plan Studio does not have the preset 'high'; it has draft, standard",
    ),
    (
        "max_pixels", 5000, {"size": "tiny"}, "size",
        "the plan Studio allows clips of 5,000 pixels at most, but 96 × 72 is 6,912",
    ),
    (
        "max_seconds", 2.5, {"seconds": 3}, "seconds",
        "the plan Studio allows clips of 2.5 s at most, but 3 s were asked for",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("limit", "value", "wishes", "field", "sentence"), NOT_IN_PLAN, ids=lambda v: str(v)[:20])
def test_what_the_plan_does_not_have(
    access: Access, api: APIClient, limit: str, value: Any, wishes: dict[str, Any], field: str, sentence: str
) -> None:
    services.estimate(access, zoetrope(**wishes))
    plan_of(access.workspace, **{limit: value})
    for ask in (services.submit, services.estimate):
        with pytest.raises(NotInPlan) as refused:
            ask(access, zoetrope(**wishes))  # type: ignore[operator]
        assert (refused.value.message, refused.value.field) == (sentence, field)
    for path in (JOBS, ESTIMATE):
        problem = is_problem(
            api.post(path, {"model": "zoetrope", "mode": "t2v"} | wishes, format="json"), 403, "not_in_plan"
        )
        assert (problem["detail"], problem["limit"], problem["allowed"]) == (sentence, limit, value)
        assert problem["asked"]
        assert problem["errors"] == [{"field": field, "message": sentence}]
    assert not Job.objects.exists()


def test_what_the_plan_has_is_taken(access: Access) -> None:
    for limit, value in (
        ("allowed_models", ["zoetrope"]), ("allowed_presets", ["high"]), ("max_pixels", 4096), ("max_seconds", 3),
        ("tiers", ["batch"]),
    ):  # fmt: skip
        plan_of(access.workspace, **{limit: value})
    services.submit(access, zoetrope(preset="high", size="square", seconds=3, tier="batch"))


def test_a_model_without_presets_needs_none_of_the_plan(access: Access) -> None:
    plan_of(access.workspace, allowed_presets=["draft"])
    assert submit(access).preset == ""


def test_a_tier_that_there_is_not_is_the_request_s_fault(access: Access) -> None:
    with pytest.raises(InvalidJob, match="tier must be one of paid, batch, free, but is 'gold'"):
        submit(access, tier="gold")


@pytest.mark.parametrize(("limit", "each"), [("seconds_per_day", "a day"), ("seconds_per_month", "a month")])
def test_seconds_of_video(access: Access, api: APIClient, limit: str, each: str) -> None:
    plan_of(access.workspace, **{limit: 60})
    submit(access, seconds=50)
    submit(access, seconds=6)
    ends = (day_of if limit == "seconds_per_day" else month_of)(datetime.now(UTC))[1]
    sentence = (
        f"the plan Studio allows 60 s of video {each}; 56 s are used and 8 s were asked for; "
        f"it resets on {ends:%Y-%m-%d} at 00:00 UTC"
    )
    for ask in (services.submit, services.estimate):
        with pytest.raises(LimitReached) as refused:
            ask(access, JobRequest(model="still", mode="t2v", seconds=8))  # type: ignore[operator]
        assert refused.value.message == sentence
    answer = api.post(JOBS, {"model": "still", "mode": "t2v", "seconds": 8}, format="json")
    problem = is_problem(answer, 429, "limit_reached")
    assert {name: problem[name] for name in ("limit", "allowed", "used", "asked", "resets_at")} == {
        "limit": limit, "allowed": 60, "used": 56, "asked": 8, "resets_at": ends.isoformat(),
    }  # fmt: skip
    left = (ends - datetime.now(UTC)).total_seconds()
    assert left - 5 < int(answer.headers["Retry-After"]) <= left + 5
    submit(access, seconds=4)  # there is exactly so much left


def test_seconds_of_jobs_without_a_clip_do_not_count(access: Access) -> None:
    plan_of(access.workspace, seconds_per_day=2)
    failed, cancelled = running(access), submit(access, seconds=1)
    with pytest.raises(LimitReached):
        submit(access, seconds=1)
    services.cancel(access, cancelled.pk)
    submit(access, seconds=1)
    attempts.fail(failed, "engine_error", "it broke")
    done = finishing(access)
    attempts.succeed(done, unsaved_clip(done))
    with pytest.raises(LimitReached, match="2 s are used"):
        submit(access, seconds=1)


def test_seconds_begin_anew(access: Access) -> None:
    """Yesterday's seconds are no longer the day's; last month's not the month's."""
    plan_of(access.workspace, seconds_per_day=10, seconds_per_month=100)
    now = datetime.now(UTC)
    day, month = day_of(now)[0], month_of(now)[0]
    for at, seconds in ((day - timedelta(seconds=1), 10), (month - timedelta(seconds=1), 90)):
        Job.objects.filter(pk=queued(access.workspace).pk).update(created_at=at, seconds=seconds)
    assert limits.seconds_since(access.workspace.pk, day) == 0
    assert limits.seconds_since(access.workspace.pk, month) == (10 if day > month else 0)
    submit(access, seconds=10)


def test_others_seconds_are_others(access: Access, strangers_api: APIClient) -> None:
    plan_of(access.workspace, seconds_per_day=1)
    submit(access, seconds=1)
    assert strangers_api.post(JOBS, {"model": "still", "mode": "t2v"}, format="json").status_code == 201


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_the_sum_is_read_from_its_index_alone(workspace: Workspace) -> None:
    """Of 100,000 jobs, without a look at the table."""
    now = timezone.now()
    like = queued(workspace)
    columns = [
        field.column for field in Job._meta.concrete_fields if field.column not in ("id", "created_at", "mark")
    ]
    named = ", ".join(f'"{column}"' for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO generation_job (id, created_at, {named}) "  # noqa: S608  the model's own columns
            f"SELECT gen_random_uuid(), %s - number * interval '10 s', {named} "
            "FROM generation_job, generate_series(1, 100000) AS number WHERE id = %s",
            [now, like.pk],
        )
        cursor.execute("VACUUM ANALYZE generation_job")  # as PostgreSQL does by itself after a while
    day = now - timedelta(days=1)
    with CaptureQueriesContext(connection) as captured:
        assert limits.seconds_since(workspace.pk, day) == 8641
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {captured[0]['sql']}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "Index Only Scan using job_quota" in plan, plan


def test_jobs_that_wait(access: Access, api: APIClient) -> None:
    plan_of(access.workspace, queued_jobs=2)
    submit(access)
    submit(access, not_before=timezone.now() + timedelta(days=1))
    answer = api.post(JOBS, {"model": "still", "mode": "t2v"}, format="json")
    problem = is_problem(answer, 429, "limit_reached")
    assert problem["detail"].startswith("the plan Studio lets 2 jobs wait at once, and 2 are waiting")
    assert {name: problem[name] for name in ("limit", "allowed", "used", "asked", "resets_at")} == {
        "limit": "queued_jobs", "allowed": 2, "used": 2, "asked": 1, "resets_at": None,
    }  # fmt: skip
    assert answer.headers["Retry-After"] == "10"


def test_a_full_library_takes_no_jobs_but_keeps_the_clips_under_way(access: Access, picture: Asset) -> None:
    job = finishing(access)
    plan_of(access.workspace, storage_mib=1)
    Asset.objects.filter(pk=picture.pk).update(size_bytes=2**20)
    with pytest.raises(LimitReached) as refused:
        submit(access)
    assert refused.value.message == (
        "the plan Studio allows 1 MiB of files, and 1 MiB are used; "
        "delete something from the library to make room for a clip"
    )
    assert refused.value.retry_after is None
    attempts.succeed(job, unsaved_clip(job))
    job.refresh_from_db()
    assert job.state == "succeeded"
    trash.delete(access, picture.pk)
    submit(access)


def test_credits_that_are_missing(access: Access, api: APIClient) -> None:
    plan_of(access.workspace, credits_per_month=10)
    services.submit(access, zoetrope(seconds=3))
    found = services.estimate(access, zoetrope())
    assert (found.credits, found.credits_available) == (3, 1)
    with pytest.raises(InsufficientCredits):
        services.submit(access, zoetrope())
    problem = is_problem(
        api.post(JOBS, {"model": "zoetrope", "mode": "t2v"}, format="json"), 402, "insufficient_credits"
    )
    ends = month_of(datetime.now(UTC))[1]
    assert (problem["needed"], problem["available"], problem["resets_at"]) == (3, 1, ends.isoformat())
    assert problem["detail"].endswith(f"the plan Studio brings 10 more on {ends:%Y-%m-%d} at 00:00 UTC")
    assert Job.objects.count() == 1
    told = api.post(ESTIMATE, {"model": "zoetrope", "mode": "t2v"}, format="json").json()
    assert (told["credits"], told["credits_available"]) == (3, 1)


def test_credits_of_a_plan_that_brings_none_reset_at_no_time(access: Access) -> None:
    plan_of(access.workspace, credits_per_month=0)
    with pytest.raises(InsufficientCredits) as refused:
        services.submit(access, zoetrope())
    assert refused.value.details == {"needed": 3, "available": 0, "resets_at": None}


def test_an_estimate_counts_the_month_s_credits_before_they_are_entered(access: Access) -> None:
    """They are entered when a job first needs them; nothing is entered by asking."""
    assert services.estimate(access, zoetrope()).credits_available == 20_000
    assert not Entry.objects.exists()
    services.submit(access, zoetrope())
    assert services.estimate(access, zoetrope()).credits_available == 19_997
    ledger.add(access.workspace.pk, 3, Entry.Kind.GRANT, reason="a gift")
    assert services.estimate(access, zoetrope()).credits_available == 20_000


def test_a_plan_without_credits_has_none_to_tell(access: Access) -> None:
    subscribe(access.workspace, Plan.objects.get(slug="enterprise"))
    assert services.estimate(access, zoetrope()).credits_available is None
    services.submit(access, zoetrope())


OVERRIDES = [
    ("tiers", ["free"], ["paid", "free"], {}),
    ("allowed_models", ["preview"], ["zoetrope"], {}),
    ("allowed_models", ["preview"], [], {}),
    ("allowed_presets", ["draft"], ["high"], {"preset": "high"}),
    ("max_pixels", 1, None, {}),
    ("max_seconds", 0.1, 5, {}),
    ("seconds_per_day", 0, 1, {}),
    ("seconds_per_month", 0, None, {}),
    ("queued_jobs", 0, 1, {}),
    ("storage_mib", 0, 1, {}),
    ("credits_per_month", 0, 3, {}),
]


@pytest.mark.parametrize(("limit", "of_plan", "of_override", "wishes"), OVERRIDES)
def test_an_override_holds_until_it_ends(
    access: Access, limit: str, of_plan: Any, of_override: Any, wishes: dict[str, Any]
) -> None:
    plan_of(access.workspace, **{limit: of_plan})
    request = zoetrope(**{"tier": "paid"} | wishes)
    with pytest.raises(Refusal):
        services.submit(access, request)
    override = agreed(access.workspace, limit, of_override)
    job = services.submit(access, request)
    services.cancel(access, job.pk)
    PlanOverride.objects.filter(pk=override.pk).update(created_at=timezone.now() - timedelta(days=2))
    PlanOverride.objects.filter(pk=override.pk).update(ends_at=timezone.now())
    if limit == "credits_per_month":
        ledger.take(access.workspace.pk, 3, Entry.Kind.ADJUSTMENT, reason="the test's end")
    with pytest.raises(Refusal):
        services.submit(access, request)


def test_of_several_overrides_the_newest_holds_and_the_refusal_says_so(access: Access) -> None:
    agreed(access.workspace, "seconds_per_day", 100)
    agreed(access.workspace, "seconds_per_day", 2)
    agreed(access.workspace, "max_seconds", 9, days=2)
    with pytest.raises(
        LimitReached, match=r"^the plan Studio \(as agreed for this workspace\) allows 2 s of video a day; 0 s are"
    ):
        submit(access, seconds=3)
    with pytest.raises(NotInPlan, match=r"^the plan Studio \(as agreed for this workspace\) allows clips of 9 s"):
        submit(access, seconds=10)


def test_overrides_of_how_jobs_run_hold_for_what_waits_already(access: Access) -> None:
    plan_of(access.workspace, concurrent_jobs=1)
    running(access)
    submit(access)
    assert Flow.objects.get().throttled
    agreed(access.workspace, "concurrent_jobs", 2)
    agreed(access.workspace, "weight", 9)
    assert recovery.release_throttled_flows() == 1
    assert claim([PAID], Claimant("w2")) is not None
    submit(access)
    assert (Flow.objects.get().throttled, Flow.objects.get().weight) == (True, 9)


def test_an_override_is_one_workspace_s(access: Access, charlie: Any) -> None:
    agreed(access.workspace, "queued_jobs", 0)
    with pytest.raises(LimitReached):
        submit(access)
    queued(charlie.workspaces.get())


def test_a_renewal_brings_what_was_agreed(access: Access) -> None:
    agreed(access.workspace, "credits_per_month", 7)
    assert services.estimate(access, zoetrope()).credits_available == 7
    with pytest.raises(InsufficientCredits, match=r"\(as agreed for this workspace\) brings 7 more on"):
        services.submit(access, zoetrope(seconds=3))
