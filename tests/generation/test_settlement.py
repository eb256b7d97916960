"""What jobs cost when they end, in whatever way: through the services that end them, and once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from billing import ledger
from billing.models import Entry, Plan
from billing.services import subscribe
from generation import attempts, audit, control, recovery, services
from generation.engines.base import EngineError
from generation.models import Job
from generation.scheduling.claims import Claimant, claim
from generation.scheduling.lanes import Lane
from generation.services import JobRequest
from mutoscope.accounts.selectors import Access
from tests.generation.samples import at_once, expire, unsaved_clip

LANE = Lane("zoetrope", "paid")
PRICE = 12
"""Four seconds at three credits."""


def submit(access: Access) -> Job:
    return services.submit(access, JobRequest(model="zoetrope", mode="t2v", seconds=4))


def claimed() -> Job:
    job = claim([LANE], Claimant("w1"))
    assert job is not None
    return job


def running(access: Access, progress: float = 0.0) -> Job:
    """A job with so much of its steps done, as a worker has written it down."""
    submit(access)
    job = claimed()
    if progress:
        assert attempts.note_progress(job, progress)
    return job


def finishing(access: Access) -> Job:
    job = running(access, 0.9)
    attempts.start_finishing(job, {}, steps=8)
    return job


def cost(job: Job) -> int:
    """What was paid; nothing is left held, and the books are right."""
    held = ledger.balance(job.workspace_id).held
    assert held == 0
    assert list(audit.problems()) == []
    return ledger.captured([job.pk]).get(job.pk, 0)


def test_the_price_is_held_when_the_job_is_accepted(access: Access) -> None:
    job = submit(access)
    found = ledger.balance(access.workspace.pk)
    assert (job.credits, found.available, found.held) == (PRICE, 20_000 - PRICE, PRICE)


def test_a_success_costs_its_price(access: Access) -> None:
    job = finishing(access)
    clip = unsaved_clip(job)
    attempts.succeed(job, clip)
    attempts.succeed(job, clip)  # said again: the answer was lost on its way
    assert cost(job) == PRICE
    assert ledger.balance(access.workspace.pk).available == 20_000 - PRICE


def test_a_job_on_a_plan_that_is_not_metered_has_no_price(access: Access) -> None:
    subscribe(access.workspace, Plan.objects.get(slug="enterprise"))
    job = finishing(access)
    attempts.succeed(job, unsaved_clip(job))
    assert (job.credits, cost(job)) == (0, 0)
    assert not Entry.objects.exists()


def test_the_price_is_that_of_the_acceptance(access: Access) -> None:
    submit(access)
    subscribe(access.workspace, Plan.objects.get(slug="enterprise"))
    job = claimed()
    attempts.start_finishing(job, {}, steps=8)
    attempts.succeed(job, unsaved_clip(job))
    assert cost(job) == PRICE


# --- What costs nothing ---


def by_bad_input(job: Job) -> None:
    attempts.settle_error(job, EngineError("bad", "it is bad", "user"))


def by_the_machine(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(failures=2)
    job.failures = 2
    attempts.settle_error(job, EngineError("broken", "it broke", "machine"))


def by_its_deadline(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(deadline=Now() - timedelta(seconds=1))
    assert recovery.expire_overdue_jobs() == 1


def by_lost_workers(job: Job) -> None:
    for _ in range(3):
        expire(job)
        assert recovery.return_lost_jobs() == 1
        again = claim([LANE], Claimant("w2"))
        job = again or job


def by_an_operator(job: Job) -> None:
    assert control.cancel(job.pk, "the machine is needed")


@pytest.mark.parametrize("end", [by_bad_input, by_the_machine, by_its_deadline, by_lost_workers, by_an_operator])
@pytest.mark.parametrize("made", [running, finishing])
def test_what_its_people_did_not_end_costs_nothing(
    access: Access, made: Callable[[Access], Job], end: Callable[[Job], None]
) -> None:
    job = made(access)
    end(job)
    job.refresh_from_db()
    assert job.state in {"failed", "cancelled"}
    assert cost(job) == 0
    assert ledger.balance(access.workspace.pk).available == 20_000


@pytest.mark.parametrize("end", [by_its_deadline, by_an_operator])
def test_a_job_that_never_ran_costs_nothing(access: Access, end: Callable[[Job], None]) -> None:
    job = submit(access)
    end(job)
    assert cost(job) == 0


# --- What a user's cancel costs ---


def test_a_cancel_in_the_queue_costs_nothing(access: Access) -> None:
    job = submit(access)
    services.cancel(access, job.pk)
    assert cost(job) == 0


@pytest.mark.parametrize(("progress", "paid"), [(0.0, 0), (0.05, 0), (0.25, 3), (0.3, 3), (0.999, 11), (1.0, 12)])
def test_a_cancel_while_it_runs_costs_the_part_that_was_written_down(
    access: Access, progress: float, paid: int
) -> None:
    job = running(access, progress)
    services.cancel(access, job.pk)
    services.cancel(access, job.pk)
    assert cost(job) == paid


def test_a_cancel_when_every_frame_is_made_costs_the_price(access: Access) -> None:
    job = finishing(access)
    services.cancel(access, job.pk)
    assert cost(job) == PRICE


def test_a_cancel_in_the_queue_after_a_lost_worker_costs_nothing(access: Access) -> None:
    job = running(access, 0.75)
    attempts.keep_checkpoint(job, "checkpoints/x", 4)
    expire(job)
    recovery.return_lost_jobs()
    services.cancel(access, job.pk)
    assert cost(job) == 0


def test_a_cancel_of_a_job_that_went_on_costs_what_its_checkpoint_spared_and_what_ran_since(
    access: Access,
) -> None:
    job = running(access, 0.75)
    attempts.keep_checkpoint(job, "checkpoints/x", 4)  # of 8 steps
    expire(job)
    recovery.return_lost_jobs()
    again = claimed()
    again.refresh_from_db()
    assert again.progress == 0.5
    services.cancel(access, job.pk)
    assert cost(job) == PRICE // 2


def test_a_job_that_begins_anew_after_a_lost_worker_is_not_paid_twice(access: Access) -> None:
    job = running(access, 0.75)
    expire(job)
    recovery.return_lost_jobs()
    claimed()
    services.cancel(access, job.pk)
    assert cost(job) == 0


def test_a_worker_that_was_given_up_charges_nothing(access: Access) -> None:
    late = finishing(access)
    expire(late)
    recovery.return_lost_jobs()
    with pytest.raises(attempts.Lost):
        attempts.succeed(late, unsaved_clip(late))
    assert ledger.balance(access.workspace.pk).held == PRICE
    job = claimed()
    attempts.start_finishing(job, {}, steps=8)
    attempts.succeed(job, unsaved_clip(job))
    assert cost(job) == PRICE


# --- At once ---


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.parametrize("attempt", range(4))
def test_of_ends_at_once_one_settles(access: Access, attempt: int) -> None:
    job = finishing(access)

    def succeed() -> None:
        try:
            attempts.succeed(job, unsaved_clip(job))
        except attempts.Lost:
            return

    def cancel() -> None:
        try:
            services.cancel(access, job.pk)
        except services.AlreadyEnded:
            return

    calls: list[Callable[[], object]] = [
        succeed,
        cancel,
        lambda: control.cancel(job.pk, "enough"),
        succeed,
        cancel,
    ]
    at_once(*calls[attempt % 2 :], *calls[: attempt % 2])
    job.refresh_from_db()
    due = 0 if job.error_code else PRICE
    assert cost(job) == due
    closed = Entry.objects.filter(job_id=job.pk, kind__in=["capture", "release"]).count()
    assert closed == 1


# --- What people are told ---


def test_the_api_tells_the_price_and_what_was_charged(access: Access, api: APIClient) -> None:
    job = running(access, 0.25)
    address = f"/api/v1/jobs/{job.pk}"
    body = api.get(address).json()
    assert (body["credits"], body["charged"]) == (PRICE, None)
    assert api.post(f"{address}/cancel").json()["charged"] == 3
    assert api.get(address).json()["charged"] == 3


def test_a_list_of_jobs_finds_its_charges_at_once(access: Access, api: APIClient) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert api.get("/api/v1/jobs").status_code == 200
        return len(captured)

    counts = []
    for _ in range(3):
        services.cancel(access, running(access, 0.5).pk)
        queries()  # what is looked up once for the process
        counts.append(queries())
    assert all(more == fewer for fewer, more in pairwise(counts)), counts
    assert [job["charged"] for job in api.get("/api/v1/jobs").json()["results"]] == [6, 6, 6]


def test_the_page_says_what_a_cancel_cost(access: Access, client: Client) -> None:
    assert access.user is not None
    client.force_login(access.user)
    job = running(access, 0.25)
    assert f"{PRICE} credits" in client.get(f"/jobs/{job.pk}").content.decode()
    services.cancel(access, job.pk)
    page = client.get(f"/jobs/{job.pk}").content.decode()
    assert "The part that ran cost 3 of 12 credits." in page
    assert "12 credits, 3 paid" in page
