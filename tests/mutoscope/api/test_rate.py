"""The API's rate: all keys of a workspace together, by minutes, refused in the API's own form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from billing.models import Plan, PlanOverride
from mutoscope.accounts.models import User, Workspace
from mutoscope.api import throttles
from tests.conftest import is_problem
from tests.generation.samples import at_once

ME = "/api/v1/me"
MINUTE = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Clock(datetime):
    """A datetime whose now is what a test says."""

    moment = MINUTE

    @classmethod
    def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]  # the moment itself, not another clock
        return cls.moment


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> type[Clock]:
    """It is noon until the test moves on."""
    monkeypatch.setattr(Clock, "moment", MINUTE)
    monkeypatch.setattr(throttles, "datetime", Clock)
    return Clock


@pytest.fixture
def three(workspace: Workspace) -> None:
    """Three requests a minute."""
    Plan.objects.filter(subscriptions__workspace=workspace).update(requests_per_minute=3)


@pytest.mark.usefixtures("three")
def test_one_more_is_refused_until_the_next_minute(api: APIClient, clock: type[Clock]) -> None:
    clock.moment = MINUTE + timedelta(seconds=18)
    left = [api.get(ME).headers["RateLimit-Remaining"] for _ in range(3)]
    assert left == ["2", "1", "0"]
    refused = api.get(ME)
    problem = is_problem(refused, 429, "limit_reached")
    assert problem["detail"] == (
        "the plan Studio allows 3 requests a minute, and as many have been made; it resets at 12:01 UTC, in 42 s"
    )
    assert {name: problem[name] for name in ("limit", "allowed", "used", "asked", "resets_at")} == {
        "limit": "requests_per_minute", "allowed": 3, "used": 3, "asked": 1,
        "resets_at": "2026-11-22T12:01:00+00:00",
    }  # fmt: skip
    told = {name: refused.headers[name] for name in ("Retry-After", "RateLimit-Limit", "RateLimit-Reset")}
    assert told == {"Retry-After": "42", "RateLimit-Limit": "3", "RateLimit-Reset": "42"}
    clock.moment = MINUTE + timedelta(minutes=1)
    assert api.get(ME).status_code == 200


@pytest.mark.usefixtures("three")
def test_all_keys_and_people_of_a_workspace_together_and_nobody_else(
    api: APIClient, api_with: Callable[..., APIClient], alice: User, strangers_api: APIClient
) -> None:
    program, person = api_with("jobs:read"), APIClient()
    person.force_login(alice)
    assert [client.get(ME).status_code for client in (api, program, person, api)] == [200, 200, 200, 429]
    assert strangers_api.get(ME).status_code == 200


@pytest.mark.usefixtures("three")
def test_what_is_open_to_everybody_and_the_pages_are_not_counted(
    api: APIClient, alice: User, client: Client
) -> None:
    client.force_login(alice)
    for _ in range(4):
        assert api.get("/api/v1/health/live").status_code == 200
        assert api.get("/api/v1/schema").status_code == 200
        assert client.get("/library").status_code == 200
    assert api.get(ME).status_code == 200


def test_a_plan_without_a_limit(api: APIClient, workspace: Workspace) -> None:
    Plan.objects.filter(subscriptions__workspace=workspace).update(requests_per_minute=None)
    assert "RateLimit-Limit" not in api.get(ME).headers


@pytest.mark.usefixtures("three")
def test_an_override(api: APIClient, workspace: Workspace) -> None:
    PlanOverride.objects.create(
        workspace=workspace, limit="requests_per_minute", value=1, reason="a flood",
        ends_at=timezone.now() + timedelta(days=1),
    )  # fmt: skip
    assert api.get(ME).status_code == 200
    assert (
        "(as agreed for this workspace) allows 1 requests"
        in is_problem(api.get(ME), 429, "limit_reached")["detail"]
    )


@pytest.mark.usefixtures("three")
def test_while_redis_is_away_nothing_is_refused(api: APIClient, settings: Any) -> None:
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    }
    assert [api.get(ME).status_code for _ in range(4)] == [200] * 4


@pytest.mark.usefixtures("three")
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_requests_at_once_do_not_pass_together(api: APIClient) -> None:
    token = api.token  # type: ignore[attr-defined]

    def ask() -> int:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        return client.get(ME).status_code

    assert Counter(at_once(*[ask] * 30)) == {200: 3, 429: 27}
