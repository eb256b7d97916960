"""Limits hold when everybody asks at once: 200 submissions against room for 10, each in a thread of its own."""

from __future__ import annotations

from collections import Counter

import pytest
from django.db import connection

from assets.models import Asset
from billing import ledger
from billing.models import Entry, Plan
from generation import services, uploads
from generation.models import Flow, Job
from generation.services import JobRequest
from mutoscope.accounts.selectors import Access
from mutoscope.errors import Refusal
from tests.conftest import picture_file
from tests.generation.samples import at_once

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)

ASKED, ROOM = 200, 10


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred threads share eight connections: on a busy machine the last may wait long for one."""
    monkeypatch.setattr(connection.pool, "timeout", 300)


def submitted(access: Access, request: JobRequest) -> Counter[str]:
    """How the submissions were answered."""

    def attempt() -> str:
        try:
            services.submit(access, request)
        except Refusal as refused:
            return f"{refused.code} {refused.details.get('limit', '')}".strip()
        return "accepted"

    return Counter(at_once(*[attempt] * ASKED))


@pytest.mark.parametrize(
    ("limit", "value"), [("queued_jobs", ROOM), ("seconds_per_day", 2 * ROOM), ("seconds_per_month", 2 * ROOM + 1)]
)
def test_exactly_as_many_as_there_is_room_for(access: Access, limit: str, value: int) -> None:
    Plan.objects.filter(slug="studio").update(**{limit: value})
    answers = submitted(access, JobRequest(model="still", mode="t2v", seconds=2))
    assert answers == {"accepted": ROOM, f"limit_reached {limit}": ASKED - ROOM}
    assert Job.objects.count() == ROOM
    assert Flow.objects.get().waiting == ROOM


def test_exactly_as_many_as_there_are_credits_for(access: Access) -> None:
    Plan.objects.filter(slug="studio").update(credits_per_month=3 * ROOM + 2)
    answers = submitted(access, JobRequest(model="zoetrope", mode="t2v"))
    assert answers == {"accepted": ROOM, "insufficient_credits": ASKED - ROOM}
    found = ledger.balance(access.workspace.pk)
    assert (found.available, found.held) == (2, 3 * ROOM)
    assert Counter(Entry.objects.values_list("kind", flat=True)) == {"renewal": 1, "hold": ROOM}


def test_two_uploads_do_not_both_get_the_last_place(access: Access) -> None:
    uploads.upload(access, picture_file())
    Asset.objects.update(size_bytes=2**20 - Asset.objects.get().size_bytes * 3 // 2)
    Plan.objects.filter(slug="studio").update(storage_mib=1)

    def attempt() -> str:
        try:
            uploads.upload(access, picture_file())
        except Refusal as refused:
            return refused.code
        return "kept"

    assert Counter(at_once(*[attempt] * 8)) == {"kept": 1, "limit_reached": 7}
    assert Asset.objects.count() == 2
