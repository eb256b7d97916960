"""Adapters that jobs bring: registered, for this model, within their range."""

from __future__ import annotations

from typing import Any

import pytest

from generation import adapters, catalog, services
from generation.adapters import AdapterWish
from generation.errors import InvalidJob
from generation.models import Adapter, Job
from generation.services import JobRequest
from mutoscope.accounts.selectors import Access

ZOETROPE = "zoetrope"


def register(name: str, **columns: Any) -> Adapter:
    given = {"models_allowed": [ZOETROPE], "file": f"adapters/{name}.safetensors", "max_strength": 1.2, **columns}
    return Adapter.objects.create(name=name, **given)


@pytest.fixture(autouse=True)
def registered(db: None) -> None:
    for name in ("film-grain", "slow-pan", "ink", "neon"):
        register(name)
    register("elsewhere", models_allowed=["still"])
    register("withdrawn", is_enabled=False)


def wish(*wishes: AdapterWish, model: str = ZOETROPE) -> JobRequest:
    return JobRequest(model=model, mode="t2v", adapters=wishes)


def test_a_job_stores_what_it_asked_for_with_the_strengths(access: Access) -> None:
    job = services.submit(access, wish(AdapterWish("ink", 0.5), AdapterWish("neon")))
    job.refresh_from_db()
    assert job.adapters == [{"name": "ink", "strength": 0.5}, {"name": "neon", "strength": 1.0}]


@pytest.mark.parametrize(
    ("wishes", "rule"),
    [
        ([AdapterWish("sepia")], "must be one of film-grain, ink, neon, slow-pan, but is 'sepia'"),
        ([AdapterWish("elsewhere")], "but is 'elsewhere'"),
        ([AdapterWish("withdrawn")], "but is 'withdrawn'"),
        ([AdapterWish("ink", 1.3)], "the strength of ink must be between 0 and 1.2, but is 1.3"),
        ([AdapterWish("ink", -0.1)], "but is -0.1"),
        ([AdapterWish("ink", float("nan"))], "but is nan"),
        ([AdapterWish("ink"), AdapterWish("ink")], "ink stands twice"),
        ([AdapterWish(n) for n in ("ink", "neon", "film-grain", "slow-pan")], "at most 3 adapters, but has 4"),
    ],
)
def test_what_is_refused(access: Access, wishes: list[AdapterWish], rule: str) -> None:
    with pytest.raises(InvalidJob, match=rule) as refused:
        services.submit(access, wish(*wishes))
    assert refused.value.field == "adapters"
    assert not Job.objects.exists()


def test_a_model_without_loras_takes_none(access: Access) -> None:
    with pytest.raises(InvalidJob, match="Still takes no adapters"):
        services.submit(access, wish(AdapterWish("elsewhere"), model="still"))
    assert adapters.usable(catalog.models()["still"]) == []
