"""`manage.py plan` and /api/v1/planner: the same answer, for operators alone."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from mutoscope.accounts.models import ApiKey, User, Workspace
from mutoscope.accounts.services import create_api_key

ASKED = {"clips_per_day": 1000, "seconds": 4, "model": "ltx-video"}
WORDS = ("--clips-per-day", "1000", "--seconds", "4", "--model", "ltx-video")


def said(*words: str) -> str:
    out = io.StringIO()
    call_command("plan", *words, stdout=out)
    return out.getvalue()


@pytest.fixture
def operators_api(workspace: Workspace, alice: User) -> APIClient:
    """A program whose key alice made, who is an operator."""
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    _, token = create_api_key(workspace, name="plans", scopes=[ApiKey.Scope.JOBS_READ], created_by=alice)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def ask(client: APIClient, **of: Any) -> Any:
    return client.get("/api/v1/planner", {**ASKED, **of})


def test_the_api_tells_the_published_example(operators_api: APIClient) -> None:
    response = ask(operators_api)
    assert response.status_code == 200, response.json()
    found = response.json()
    assert (found["model"], found["size"], found["preset"]) == ("ltx-video-2b", "720p-16-9", "standard")
    assert found["is_estimate"] is True
    chosen = found["chosen"]
    assert (chosen["gpu"], chosen["gpu_hours_per_day"], chosen["gpus_needed"]) == ("H100 SXM5", 8, 1)
    assert (chosen["spot"]["as_needed_day"], chosen["spot"]["gpu_month"]) == (6.4, 576)
    assert chosen["spot"]["rate"]["is_estimate"] is True
    assert chosen["on_demand"]["as_needed_day"] == 23.2
    (runway,) = [one for one in chosen["spot"]["comparisons"] if one["name"] == "Runway Gen-3 Alpha"]
    assert (runway["times_cheaper"], runway["times_cheaper_rounded"]) == (31.25, 25)
    assert (runway["break_even_clips_per_day"], runway["break_even_clips_per_gpu_hour"]) == (96, 4)
    assert found["peers"][0]["usd_per_day"] == 200
    assert found["waits"][-1]["keeps_promises"] is True
    no_spot = next(one for one in found["choices"] if one["gpu"] == "RTX 4090")
    assert no_spot["spot"] is None


def test_what_may_be_asked_is_all_taken(operators_api: APIClient) -> None:
    found = ask(
        operators_api, size="480p-1-1", preset="draft", gpu="L40S", market="spot", fleet=2, profile="flat",
        workspaces=3, plan="studio", tiers="paid=1,batch=1", seed=5,
    ).json()  # fmt: skip
    assert (found["size"], found["preset"], found["chosen"]["gpu"]) == ("480p-1-1", "draft", "L40S")
    assert [fleet["gpus"] for fleet in found["waits"]] == [2]
    assert set(found["waits"][0]["tiers"]) == {"paid", "batch"}


def test_an_operator_may_ask_from_the_browser(workspace: Workspace, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    client = APIClient()
    client.force_login(alice)
    assert ask(client).status_code == 200


def test_others_may_not(
    api: APIClient, workspace: Workspace, alice: User, operators_api: APIClient, strangers_api: APIClient
) -> None:
    assert ask(APIClient()).status_code == 401
    for client in (api, strangers_api):
        response = ask(client)
        assert (response.status_code, response.json()["code"]) == (403, "operators_only")
    person = APIClient()
    person.force_login(alice)
    User.objects.filter(pk=alice.pk).update(is_staff=False)
    assert ask(person).status_code == 403
    assert ask(operators_api).status_code == 403  # who made its key is no operator any more


@pytest.mark.parametrize(
    ("of", "field"),
    [
        ({"clips_per_day": 0}, "clips_per_day"), ({"clips_per_day": "many"}, "clips_per_day"),
        ({"market": "barter"}, "market"), ({"gpu": "Voodoo 2"}, "gpu"), ({"tiers": "paid=x"}, "tiers"),
    ],
)  # fmt: skip
def test_what_cannot_be_planned_is_a_problem_of_its_field(
    operators_api: APIClient, of: dict[str, Any], field: str
) -> None:
    response = ask(operators_api, **of)
    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_the_command_tells_the_published_example(db: None) -> None:
    told = said(*WORDS)
    for words in (
        "1,000 clips of 4 s a day (LTX-Video 2B, 720p-16-9, standard) are 4,000 s of video.",
        "H100 SXM5: 500 s of it an hour (estimate), so 8 GPU-hours a day. The busiest hour needs 1 GPU.",
        "spot (estimate)", "$6.40", "$576.00", "$200.00", "31.25×", "25.00×", "96.0",
    ):  # fmt: skip
        assert words in told
    assert "cannot keep up" not in told


def test_the_command_tells_what_the_api_tells(operators_api: APIClient) -> None:
    assert json.loads(said(*WORDS, "--spot", "--json")) == ask(operators_api, market="spot").json()


def test_the_command_tells_of_fleets_that_cannot_keep_up_and_of_too_many_clips(db: None) -> None:
    assert "grows for ever" in said(*WORDS, "--fleet", "1", "--gpu", "RTX 4090")
    many = said("--clips-per-day", "50000", "--seconds", "4", "--model", "ltx-video", "--on-demand")
    assert "waits are simulated for at most 20,000 clips a day" in many


def test_the_command_says_what_cannot_be_planned(db: None) -> None:
    with pytest.raises(CommandError, match=r"the model must be one of .* but is 'sora'"):
        said("--clips-per-day", "1", "--seconds", "4", "--model", "sora")
