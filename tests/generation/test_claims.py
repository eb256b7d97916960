"""Claiming: oldest first, each job once, whoever asks at the same time."""

from __future__ import annotations

from collections import Counter

import pytest
from django.conf import settings
from django.utils import timezone

from billing.models import Plan
from generation import services
from generation.claims import Claimant, claim
from generation.lanes import Lane
from generation.models import Attempt
from mutoscope.accounts.selectors import Access
from tests.generation.samples import PAID, at_once, kinds, submit


def test_the_oldest_job_is_first(access: Access) -> None:
    jobs = [submit(access) for _ in range(3)]
    claimed = [claim([PAID], Claimant("w")) for _ in range(4)]
    assert [job and job.pk for job in claimed] == [*(job.pk for job in jobs), None]


def test_a_claim_is_an_attempt_with_a_lease(access: Access) -> None:
    job = submit(access)
    before = timezone.now()
    claimed = claim([PAID], Claimant("worker-7"))
    assert claimed is not None
    job.refresh_from_db()
    attempt = job.attempts.get()
    assert (job.state, job.attempt, attempt.number, attempt.worker) == ("running", 1, 1, "worker-7")
    assert attempt.outcome == Attempt.Outcome.UNDER_WAY
    assert job.lease_expires_at is not None
    assert job.lease_expires_at >= before + settings.JOB_LEASE
    assert kinds(job) == ["queued", "started"]
    assert "worker-7" not in job.events.last().message  # type: ignore[union-attr]  # events are for its users


def test_a_lane_gives_its_own_jobs_only(access: Access) -> None:
    batch = submit(access, tier="batch")
    assert claim([PAID], Claimant("w")) is None
    assert claim([Lane("preview", "batch")], Claimant("w")) is None
    claimed = claim([Lane("still", "batch")], Claimant("w"))
    assert claimed == batch


def test_a_cancelled_job_is_not_claimed(access: Access) -> None:
    services.cancel(access, submit(access).pk)
    assert claim([PAID], Claimant("w")) is None


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_workers_who_claim_at_once_get_each_job_once(access: Access) -> None:
    Plan.objects.update(concurrent_jobs=100)
    jobs = [submit(access) for _ in range(40)]

    def work() -> list[object]:
        mine = []
        while job := claim([PAID], Claimant("w")):
            mine.append(job.pk)
        return mine

    got = Counter(pk for share in at_once(*[work] * 32) for pk in share)
    assert got == Counter(job.pk for job in jobs)
    assert Attempt.objects.count() == 40
