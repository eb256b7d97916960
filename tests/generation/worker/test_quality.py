"""A real worker process whose engine makes a broken clip."""

from __future__ import annotations

import pytest

from assets.models import Asset
from generation import services
from generation.models import Job
from generation.services import JobRequest
from mutoscope.accounts.selectors import Access
from tests.conftest import RunManage, wait_for_state

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True, serialized_rollback=True)]


def submit(access: Access, picture: Asset, prompt: str) -> Job:
    return services.submit(access, JobRequest(model="still", picture=picture.pk, prompt=prompt, seed=5))


def test_a_broken_clip_is_made_once_more_and_a_second_one_fails(
    access: Access, picture: Asset, manage: RunManage
) -> None:
    once, always = submit(access, picture, "black=5"), submit(access, picture, "black")
    with manage("worker", "--model", "still"):
        wait_for_state(once, "succeeded")
        wait_for_state(always, "failed")
    assert once.is_reseeded
    assert once.seed != 5
    assert once.recipe["seed"] == once.seed
    checks = once.clip_checks.order_by("attempt")
    assert [(check.seed, check.verdict, check.asset) for check in checks] == [
        (5, "broken", None),
        (once.seed, "good", once.output),
    ]
    assert "black" in checks[0].problems
    assert checks[0].measured["black"] == 1
    assert (always.error_code, always.attempt, always.output) == ("clip_broken", 2, None)
    assert always.error_message.startswith("the clip is black for the most part")
    assert Asset.objects.filter(kind="video").count() == 1
