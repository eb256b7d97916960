"""Claiming: which lane and which job, each once, whoever asks at the same time."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from functools import partial

import pytest
import redis
from django.conf import settings
from django.utils import timezone

from billing.models import Plan
from generation import attempts, control, recovery, services
from generation.engines.base import EngineError
from generation.errors import AlreadyEnded
from generation.models import Attempt, Flow, Job, Worker
from generation.scheduling import flows
from generation.scheduling.claims import Claimant, claim, in_turn
from generation.scheduling.lanes import Lane
from mutoscope.accounts.selectors import Access
from tests.generation.crowd import claimed, tenant
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


FREE, BATCH = Lane("still", "free"), Lane("still", "batch")
EVERY = [PAID, FREE, BATCH]


def waited(job: Job, promises: float) -> None:
    """The job has waited so many times its tier's promise."""
    since = timezone.now() - settings.TIER_PROMISES[job.tier] * promises
    Job.objects.filter(pk=job.pk).update(queued_at=since)
    flows.recount(job.workspace_id)


def test_a_worker_of_several_lanes_takes_them_in_its_order(access: Access) -> None:
    jobs = {tier: submit(access, tier=tier) for tier in ("batch", "free", "paid")}
    assert claimed(3, *EVERY) == [jobs["paid"], jobs["free"], jobs["batch"]]
    jobs = {tier: submit(access, tier=tier) for tier in ("batch", "free", "paid")}
    assert claimed(3, BATCH, PAID) == [jobs["batch"], jobs["paid"]]


def test_a_lower_lane_goes_next_once_its_oldest_job_has_waited_past_its_promise(access: Access) -> None:
    paid, free = submit(access), submit(access, tier="free")
    waited(free, 0.9)
    assert in_turn(EVERY) == [PAID, FREE]
    waited(free, 1.1)
    assert in_turn(EVERY) == [FREE, PAID]
    assert claimed(2, *EVERY) == [free, paid]


def test_of_lanes_past_their_promises_the_one_latest_in_proportion_goes_first(access: Access) -> None:
    paid, free, batch = submit(access), submit(access, tier="free"), submit(access, tier="batch")
    for job, promises in ((paid, 2.0), (free, 1.5), (batch, 3.0)):
        waited(job, promises)
    assert in_turn(EVERY) == [BATCH, PAID, FREE]


@pytest.mark.django_db
def test_who_is_held_back_makes_no_lane_late() -> None:
    small = tenant("small", concurrent_jobs=1)
    first, second = submit(small, tier="free"), submit(small, tier="free")
    assert claimed(1, *EVERY) == [first]
    waited(second, 10)
    paid = submit(tenant("other"))
    assert in_turn(EVERY) == [PAID]
    assert claimed(2, *EVERY) == [paid]


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_ticket_spent_on_another_lane_is_put_back(access: Access) -> None:
    paid, free = submit(access), submit(access, tier="free")
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.flushdb()  # the free ticket is taken first
        assert claim(EVERY, Claimant("w"), ticket=FREE) == paid
        assert (client.llen("still.free"), client.llen("still.paid")) == (1, 0)
        assert claim(EVERY, Claimant("w"), ticket=FREE) == free
        assert claim(EVERY, Claimant("w"), ticket=PAID) is None
        assert (client.llen("still.free"), client.llen("still.paid")) == (1, 0)


def test_operators_priorities_go_before_fairness(access: Access) -> None:
    usual, boosted, later = submit(access), submit(access), submit(access)
    other = submit(tenant("other"))
    assert control.boost(boosted.pk, 10)
    assert control.boost(usual.pk, -1)
    assert claimed(1) == [boosted]
    assert set(claimed(2)) == {later, other}
    assert claimed(1) == [usual]
    assert not control.boost(boosted.pk, 5)  # it runs already


def alive(place_host: str, lanes: list[Lane] | None = None) -> None:
    now = timezone.now()
    Worker.objects.create(
        name=place_host, host=place_host, pid=1, model="still", lanes=[str(lane) for lane in lanes or [PAID]],
        version="1", started_at=now, seen_at=now, state=Worker.State.IDLE,
    )  # fmt: skip


def test_a_job_that_failed_by_the_machines_fault_is_left_to_another(access: Access) -> None:
    job = submit(access)
    for host in ("one", "two"):
        alive(host)
    first = claim([PAID], Claimant("one", "one/cpu"))
    assert first == job
    attempts.settle_error(first, EngineError("device_lost", "the GPU fell off the bus", "machine"))
    job.refresh_from_db()
    assert job.avoid == "one/cpu"
    assert claim([PAID], Claimant("one", "one/cpu")) is None
    assert claim([PAID], Claimant("two", "two/cpu")) == job


def test_where_nobody_else_serves_the_lane_it_is_tried_again_in_the_same_place(access: Access) -> None:
    job = submit(access)
    alive("one")
    alive("two", [FREE])
    first = claim([PAID], Claimant("one", "one/cpu"))
    assert first is not None
    attempts.settle_error(first, EngineError("device_lost", "the GPU fell off the bus", "machine"))
    assert claim([PAID], Claimant("one", "one/cpu")) == job


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_whatever_happens_at_once_nothing_deadlocks_and_the_counts_hold() -> None:
    people = [tenant(f"w{number}", concurrent_jobs=3) for number in range(4)]
    rolls = [random.Random(number) for number in range(12)]  # noqa: S311

    def live(roll: random.Random) -> int:
        done = 0
        for _ in range(15):
            access = roll.choice(people)
            job = None
            match roll.randrange(5):
                case 0 | 1:
                    submit(access, tier=roll.choice(["paid", "free", "batch"]))
                case 2:
                    job = claim(roll.sample(EVERY, 3), Claimant("w"))
                case 3:
                    waiting = Job.objects.filter(state__in=Job.ACTIVE, workspace=access.workspace)
                    for pk in waiting.order_by("?").values_list("pk", flat=True)[:1]:
                        with contextlib.suppress(AlreadyEnded):
                            services.cancel(access, pk)
                case 4:
                    recovery.return_lost_jobs()
                    recovery.release_throttled_flows()
            if job is not None:
                done += 1
                settle = roll.choice([attempts.fail, attempts.give_back])
                settle(job, "test", "so it goes")  # type: ignore[operator]
        return done

    assert sum(at_once(*[partial(live, roll) for roll in rolls])) > 0
    for flow in Flow.objects.all():
        queued = Job.objects.filter(lane=flow.lane, workspace=flow.workspace, state="queued")
        assert flow.waiting == queued.count()
        assert flow.waiting_ms == sum(queued.values_list("work_ms", flat=True))
        assert not flow.throttled or flow.workspace.jobs.filter(state__in=Job.HELD).count() >= 3
