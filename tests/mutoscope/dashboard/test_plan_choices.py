"""The create page shows what the plan does not have, and why, and says a refusal at its field."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from billing.models import Plan
from generation.models import Job
from mutoscope.accounts.selectors import Access

CREATE, ESTIMATE = reverse("dashboard:create"), reverse("dashboard:estimate")


@pytest.fixture
def plan(access: Access) -> Any:
    """Changes alice's plan."""
    return lambda **columns: Plan.objects.filter(subscriptions__workspace=access.workspace).update(**columns)


def _page(client: Client, **query: str) -> str:
    return client.get(CREATE, {"model": "zoetrope", **query}).content.decode()


def _input(html: str, name: str, value: str) -> str:
    found = re.search(rf'<input type="radio" name="{name}" value="{value}"[^>]*>', html)
    assert found, f"there is no {name} {value}"
    return found.group()


def test_a_model(alices: Client, plan: Any) -> None:
    plan(allowed_models=["still"])
    html = _page(alices)
    assert "disabled" in _input(html, "model", "zoetrope")
    assert "checked" in _input(html, "model", "still")
    assert escape("The plan Studio does not have the model 'zoetrope'; it has still.") in html


def test_a_plan_none_of_whose_models_is_here_leaves_the_page_whole(alices: Client, plan: Any) -> None:
    plan(allowed_models=["gone"])
    assert alices.get(CREATE).status_code == 200


def test_a_preset(alices: Client, plan: Any) -> None:
    plan(allowed_presets=["draft"])
    html = _page(alices, preset="high")
    assert "checked" in _input(html, "preset", "draft")
    for name in ("standard", "high"):
        assert "disabled" in _input(html, "preset", name)
    assert escape("The plan Studio does not have the preset 'high'; it has draft.") in html


def test_a_size(alices: Client, plan: Any) -> None:
    plan(max_pixels=5000)
    html = _page(alices, size="tiny")
    assert "disabled" in _input(html, "size", "tiny")
    assert "checked" in _input(html, "size", "square")
    assert "The plan Studio allows 5,000 pixels at most." in html
    assert 'title="The plan Studio allows clips of 5,000 pixels at most, but 96 × 72 is 6,912."' in html


def test_a_length(alices: Client, plan: Any) -> None:
    plan(max_seconds=2)
    html = _page(alices, seconds="4")
    assert "0.5 to 2 seconds: as long as the plan Studio allows" in html
    assert 'min="0.5" max="2" value="1"' in html


def test_nothing_is_said_where_the_plan_has_everything(alices: Client, plan: Any) -> None:
    html = _page(alices, size="tiny", preset="high", seconds="4")
    assert "the plan Studio" not in html
    assert "checked" in _input(html, "preset", "high")
    assert 'value="4"' in html


REFUSALS = [
    ({"max_seconds": 2}, {"seconds": "4"}, "allows clips of 2 s at most", "id_seconds_error"),
    ({"seconds_per_day": 3}, {"seconds": "4"}, "0 s are used and 4 s were asked for", "id_seconds_error"),
    ({"queued_jobs": 0}, {}, "lets 0 jobs wait at once", "errors-form"),
    ({"credits_per_month": 2}, {}, "the job costs 3 credits, and 2 are available", "errors-form"),
    ({"storage_mib": 0}, {}, "allows 0 MiB of files", "errors-form"),
]


@pytest.mark.parametrize(("columns", "fields", "sentence", "place"), REFUSALS)
def test_a_refusal_is_at_the_form(
    alices: Client, plan: Any, columns: dict[str, int], fields: dict[str, str], sentence: str, place: str
) -> None:
    plan(**columns)
    answer = alices.post(CREATE, {"model": "zoetrope", "mode": "t2v", "prompt": "kept", **fields})
    html = answer.content.decode()
    assert answer.status_code == 422
    assert place in html
    assert sentence in html
    assert "kept</textarea>" in html
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("brought", "words"),
    [(100, "3 credits of 100"), (2, "3 credits, but only 2 are left"), (1, "only 1 is left"), (None, "Free")],
)
def test_the_estimate_says_what_is_left(alices: Client, plan: Any, brought: int | None, words: str) -> None:
    plan(credits_per_month=brought)
    html = alices.post(ESTIMATE, {"model": "zoetrope", "mode": "t2v"}).content.decode()
    assert words in html


def test_a_format(alices: Client, plan: Any) -> None:
    plan(output_formats=["webm", "gif"])
    html = _page(alices, format="h265")
    assert "checked" in _input(html, "format", "webm")
    assert "disabled" in _input(html, "format", "mp4")
    assert escape("The plan Studio does not have the format 'mp4'; it has webm, gif.") in html
    assert "The plan Studio has webm, gif." in html
    answer = alices.post(CREATE, {"model": "zoetrope", "mode": "t2v", "format": "mp4"})
    assert answer.status_code == 422
    assert not Job.objects.exists()
