"""What was used, by model and day, against histories made by hand."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from billing import ledger
from billing.models import Entry
from generation import usage, usage_csv
from generation.models import Job
from generation.usage import Grouping, InvalidPeriod, Period, Use, period_of
from mutoscope.accounts.models import User, Workspace
from mutoscope.accounts.selectors import Access
from tests.conftest import is_problem
from tests.generation.samples import submit
from tests.generation.uses import ended_job

NOVEMBER = Period(date(2026, 11, 1), date(2026, 11, 30))


def at(day: int, hour: int = 12, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


@pytest.fixture
def history(workspace: Workspace, charlie: User) -> None:
    ended_job(workspace, at(3), seconds=4, price=12, paid=12)
    ended_job(workspace, at(3), seconds=2.5, price=8, paid=8)
    ended_job(workspace, at(3), model="zoetrope", seconds=6, price=18, paid=18)
    ended_job(workspace, at(5), seconds=4, price=12, paid=5, state=Job.State.CANCELLED)
    ended_job(workspace, at(5), seconds=4, price=12, paid=0, state=Job.State.FAILED)
    ended_job(workspace, at(9), seconds=8)  # on a plan that needs no credits
    ended_job(charlie.workspaces.get(), at(3), seconds=100, price=300, paid=300)


def test_by_day_and_model(workspace: Workspace, history: None) -> None:
    assert usage.used(workspace, NOVEMBER) == [
        Use(day=date(2026, 11, 3), model="still", jobs=2, clips=2, seconds=6.5, credits=20),
        Use(day=date(2026, 11, 3), model="zoetrope", jobs=1, clips=1, seconds=6, credits=18),
        Use(day=date(2026, 11, 5), model="still", jobs=2, clips=0, seconds=0, credits=5),
        Use(day=date(2026, 11, 9), model="still", jobs=1, clips=1, seconds=8, credits=0),
    ]


def test_by_day_or_by_model_alone_and_in_all(workspace: Workspace, history: None) -> None:
    by_model = usage.used(workspace, NOVEMBER, [Grouping.MODEL])
    assert by_model == [
        Use(model="still", jobs=5, clips=3, seconds=14.5, credits=25),
        Use(model="zoetrope", jobs=1, clips=1, seconds=6, credits=18),
    ]
    by_day = usage.used(workspace, NOVEMBER, [Grouping.DAY])
    assert [(use.day and use.day.day, use.credits) for use in by_day] == [(3, 38), (5, 5), (9, 0)]
    everything = Use(jobs=6, clips=4, seconds=20.5, credits=43)
    assert usage.total(by_model) == usage.total(by_day) == everything
    assert usage.total([]) == Use()


def test_days_begin_and_end_at_midnight_in_utc(workspace: Workspace) -> None:
    ended_job(workspace, datetime(2026, 10, 31, 23, 59, 59, 999999, tzinfo=UTC))
    ended_job(workspace, at(1, 0))
    ended_job(workspace, at(30, 23, 59))
    ended_job(workspace, datetime(2026, 12, 1, tzinfo=UTC))
    assert [use.day for use in usage.used(workspace, NOVEMBER)] == [NOVEMBER.first, NOVEMBER.last]
    # Midnight where the job was asked for is not what counts.
    far_east = datetime(2026, 11, 2, 1, tzinfo=UTC).astimezone(tz=None)
    ended_job(workspace, far_east)
    assert usage.used(workspace, Period(date(2026, 11, 2), date(2026, 11, 2)))[0].jobs == 1


def test_jobs_under_way_do_not_count(access: Access) -> None:
    submit(access)
    today = usage.today()
    assert usage.used(access.workspace, Period(today, today)) == []


def test_it_is_one_query_however_much_there_is(
    workspace: Workspace, history: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        usage.used(workspace, NOVEMBER)


def test_periods() -> None:
    day = date(2027, 1, 15)
    assert usage.this_month(day) == Period(date(2027, 1, 1), day)
    assert usage.last_month(day) == Period(date(2026, 12, 1), date(2026, 12, 31))
    assert usage.last_days(day, 30).length == 30
    assert period_of("2026-11-02", "2026-11-05") == Period(date(2026, 11, 2), date(2026, 11, 5))
    assert period_of("", "2026-11-05").first == date(2026, 11, 1)


@pytest.mark.parametrize(
    ("first", "last", "rule"),
    [
        ("2026-11-05", "2026-11-02", "must end on the day it begins or later"),
        ("2025-01-01", "2026-01-02", "at most 366 days, but has 367"),
        ("5.11.2026", "2026-11-06", "from must be a day such as 2026-11-22, but is '5.11.2026'"),
        ("9999-12-01", "9999-12-31", "must lie in the years 2000 to 2999, but is 9999-12-31"),
        ("2026-11-05", "2026-11-31", "to must be a day such as 2026-11-22, but is '2026-11-31'"),
    ],
)
def test_what_is_no_period(first: str, last: str, rule: str) -> None:
    with pytest.raises(InvalidPeriod, match=rule):
        period_of(first, last)


URL = "/api/v1/usage?from=2026-11-01&to=2026-11-30"


def test_the_api_tells_it(api: APIClient, history: None) -> None:
    body = api.get(f"{URL}&group_by=model").json()
    assert body == {
        "first_day": "2026-11-01",
        "last_day": "2026-11-30",
        "group_by": ["model"],
        "total": {"jobs": 6, "clips": 4, "seconds": 20.5, "credits": 43},
        "rows": [
            {"jobs": 5, "clips": 3, "seconds": 14.5, "credits": 25, "day": None, "model": "still"},
            {"jobs": 1, "clips": 1, "seconds": 6.0, "credits": 18, "day": None, "model": "zoetrope"},
        ],
    }
    days = api.get(URL).json()
    assert days["group_by"] == ["day", "model"]
    assert [row["day"] for row in days["rows"]] == ["2026-11-03", "2026-11-03", "2026-11-05", "2026-11-09"]


def test_other_workspaces_see_nothing_of_it(strangers_api: APIClient, workspace: Workspace) -> None:
    ended_job(workspace, at(3))
    assert strangers_api.get(URL).json()["total"]["jobs"] == 0
    assert _lines(strangers_api, "/api/v1/usage.csv?from=2026-11-01&to=2026-11-30") == []


@pytest.mark.parametrize("path", ["/api/v1/usage", "/api/v1/usage.csv", "/api/v1/credits"])
def test_it_needs_the_scope(api_with: Callable[..., APIClient], path: str) -> None:
    is_problem(api_with("assets:read").get(path), 403, "scope_missing")
    is_problem(APIClient().get(path), 401, "not_authenticated")
    assert api_with("jobs:read").get(path).status_code == 200


@pytest.mark.parametrize("path", ["/api/v1/usage", "/api/v1/usage.csv"])
def test_bad_periods_are_problems(api: APIClient, path: str) -> None:
    body = is_problem(api.get(f"{path}?from=yesterday"), 400, "invalid_period")
    assert body["errors"][0]["field"] == "from"
    is_problem(api.get(f"{path}?from=2020-01-01&to=2026-01-01"), 400, "invalid_period")


def test_bad_groupings_are_problems(api: APIClient) -> None:
    body = is_problem(api.get("/api/v1/usage?group_by=day,colour"), 400, "invalid")
    assert body["detail"] == "group_by must be of day, model, but names 'colour'"


def _lines(api: APIClient, path: str) -> list[dict[str, str]]:
    answer = api.get(path)
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(async_to_sync(_whole)(answer).decode())))


async def _whole(answer: Any) -> bytes:
    return b"".join([part async for part in answer])


def test_the_file_has_a_line_for_each_job(api: APIClient, history: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_csv, "CHUNK", 2)
    lines = _lines(api, "/api/v1/usage.csv?from=2026-11-01&to=2026-11-30")
    assert len(lines) == 6
    assert len({line["id"] for line in lines}) == 6
    assert tuple(lines[0]) == usage_csv.COLUMNS
    assert sum(float(line["finished_seconds"]) for line in lines) == 20.5
    assert sum(int(line["credits_charged"]) for line in lines) == 43
    cancelled = next(line for line in lines if line["state"] == "cancelled")
    assert (cancelled["seconds"], cancelled["finished_seconds"]) == ("4", "0")
    assert (cancelled["credits_price"], cancelled["credits_charged"]) == ("12", "5")
    assert cancelled["ended_at"] == "2026-11-05T12:00:00+00:00"


def test_no_cell_is_a_formula(api: APIClient, workspace: Workspace) -> None:
    ended_job(workspace, at(3), model="=1+1", size="@SUM(A1)", preset="-high")
    line = _lines(api, "/api/v1/usage.csv?from=2026-11-01&to=2026-11-30")[0]
    assert (line["model"], line["size"], line["preset"]) == ("'=1+1", "'@SUM(A1)", "'-high")


def test_credits_of_a_new_workspace(strangers_api: APIClient) -> None:
    body = strangers_api.get("/api/v1/credits").json()
    assert body["plan"] == {"slug": "free", "name": "Free"}
    assert (body["metered"], body["available"], body["held"], body["lots"]) == (True, 100, 0, [])
    limits = {limit["limit"]: limit for limit in body["limits"]}
    assert (limits["seconds_per_day"]["used"], limits["seconds_per_day"]["allowed"]) == (0, 60)
    assert limits["credits_per_month"]["allowed"] == 100
    assert limits["storage_mib"]["resets_at"] is None


def test_credits_in_use(api: APIClient, workspace: Workspace) -> None:
    soon = datetime.now(UTC) + timedelta(days=2)
    ledger.add(workspace.pk, 50, Entry.Kind.PURCHASE, reference="pack")
    ledger.add(workspace.pk, 30, Entry.Kind.GRANT, expires_at=soon)
    ledger.hold(workspace.pk, workspace.pk, 10)
    body = api.get("/api/v1/credits").json()
    assert [(lot["credits"], lot["expires_at"] is None) for lot in body["lots"]] == [(20, False), (50, True)]
    assert (body["available"], body["held"]) == (20_070, 10)
