"""What is told of jobs that have not ended: every obstacle, every state, and times that follow from the claim."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from billing.models import Plan, PlanOverride
from generation import attempts, control
from generation.forecast import outlook, pace
from generation.forecast.outlook import Outlook
from generation.forecast.pace import Span
from generation.models import Attempt, Flow, Job, LaneClock, Worker
from generation.scheduling.claims import Claimant, claim
from mutoscope.accounts.models import Workspace
from tests.generation.lines import ended, queued, worker, workspace_of
from tests.generation.samples import PAID

FREE = type(PAID)("still", "free")
SECOND = 1000
"""Milliseconds of work. By the catalog the tests' jobs take 0.08 s; here their pace is measured first."""


@pytest.fixture(autouse=True)
def _a_second_each(db: None) -> None:
    """Jobs take the engine one second (8 steps) and the finish stage half of one, on any worker of the tests."""
    workspace = workspace_of(99)
    for _ in range(50):
        ended(workspace, step=1 / 8, finish=0.5)
    pace.measure()


@pytest.fixture
def mine() -> Workspace:
    return workspace_of(1)


def look(job: Job) -> Outlook:
    job.refresh_from_db()
    found = outlook.outlook(job)
    assert found is not None
    return found


def starts(*jobs: Job) -> list[float]:
    """The likely seconds until each starts."""
    found = outlook.outlooks(jobs)
    spans = [found[job.pk].starts_in for job in jobs]
    assert all(spans)
    return [round(span.likely, 2) for span in spans if span]


def line(workspace: Workspace, count: int = 1, **columns: object) -> list[Job]:
    return [queued(workspace, **{"work_ms": SECOND, **columns}) for _ in range(count)]  # type: ignore[arg-type]


def start(worker_name: str = "w1", lane: object = PAID) -> Job:
    job = claim([lane], Claimant(worker_name))  # type: ignore[list-item]
    assert job is not None
    attempts.note_engine_started(job, memory_plan="", first_step=0)
    return job


def test_the_next_job_of_an_idle_worker_starts_at_once(mine: Workspace) -> None:
    worker()
    (job,) = line(mine)
    found = look(job)
    assert (found.position, found.throttled, found.pause, found.no_worker) == (1, False, None, False)
    assert found.starts_in == Span(0, 0, 0)
    assert found.ends_in is not None
    assert found.ends_in.likely == pytest.approx(1.5, rel=0.01)
    assert found.ends_in.low < 1.5 < found.ends_in.high
    assert found.ends_at is not None
    assert abs((found.ends_at - timezone.now()).total_seconds()) < 3


def test_jobs_are_done_one_after_the_other(mine: Workspace) -> None:
    worker()
    assert starts(*line(mine, 3)) == [0, 1, 2]


def test_workers_share_the_line(mine: Workspace) -> None:
    worker()
    worker("w2")
    assert starts(*line(mine, 4)) == [0, 0, 1, 1]


def test_what_is_in_hand_comes_first(mine: Workspace) -> None:
    worker()
    line(mine)
    running = start()
    Job.objects.filter(pk=running.pk).update(progress=0.75)
    assert starts(*line(mine, 2)) == [0.25, 1.25]


def test_fairness_is_reckoned_with(mine: Workspace) -> None:
    worker()
    many = line(workspace_of(2), 3)
    (late,) = line(mine)
    assert starts(*many, late) == [0, 2, 3, 1]
    assert look(late).position == 2


def test_a_boosted_job_is_first(mine: Workspace) -> None:
    worker()
    jobs = line(mine, 3)
    control.boost(jobs[2].pk, 1)
    assert starts(*jobs) == [1, 2, 0]
    assert [look(job).position for job in jobs] == [2, 3, 1]


def test_no_more_at_once_than_the_plan_lets_a_workspace_run() -> None:
    worker()
    worker("w2")
    assert starts(*line(workspace_of(2, concurrent_jobs=1), 2)) == [0, 1.5]  # the finish stage counts as running


def test_who_is_throttled_waits_for_the_own_jobs_alone() -> None:
    small = workspace_of(2, concurrent_jobs=1)
    worker()
    worker("w2")
    line(small, 2)
    start()
    (held,) = Job.objects.filter(workspace=small, state="queued")
    found = look(held)
    assert (found.throttled, found.limit) == (True, 1)
    assert found.starts_in is not None
    assert found.starts_in.likely == pytest.approx(1.5, abs=0.05)


def test_without_a_worker_nobody_can_tell(mine: Workspace) -> None:
    (job,) = line(mine)
    found = look(job)
    assert (found.position, found.no_worker, found.starts_in, found.ends_at) == (1, True, None, None)


@pytest.mark.parametrize(
    "columns",
    [
        {"seen_at": timezone.now() - timedelta(hours=1)}, {"state": Worker.State.STOPPED},
        {"state": Worker.State.DRAINING}, {"lanes": ("free",)}, {"model": "preview"},
    ],
)  # fmt: skip
def test_who_will_not_take_the_job_is_no_worker_for_it(mine: Workspace, columns: dict[str, object]) -> None:
    serving = worker(lanes=columns.pop("lanes", ("paid",)))  # type: ignore[arg-type]
    if columns.get("model"):
        columns["lanes"] = ["preview.paid"]
    Worker.objects.filter(pk=serving.pk).update(**columns)
    assert look(line(mine)[0]).no_worker


def test_a_worker_that_loads_is_reckoned_with(mine: Workspace) -> None:
    worker(state=Worker.State.LOADING)  # a second, by the catalog
    assert starts(*line(mine)) == [pytest.approx(1, abs=0.3)]


@pytest.mark.parametrize("scope", ["*", "still", "still.paid"])
def test_a_pause_is_told_with_its_reason(mine: Workspace, scope: str) -> None:
    worker()
    (job,) = line(mine)
    control.pause(scope, reason="a new GPU is built in")
    found = look(job)
    assert found.pause is not None
    assert (found.pause.reason, found.position, found.ends_in) == ("a new GPU is built in", 1, None)
    control.resume(scope)
    assert look(job).pause is None


def test_another_lanes_pause_is_none_of_its_business(mine: Workspace) -> None:
    worker()
    paid, free = line(mine), line(mine, tier="free")
    assert starts(*paid, *free) == [0, 1]
    control.pause("still.paid")
    assert starts(*free) == [0]
    control.pause("preview")
    assert look(free[0]).pause is None


def test_higher_lanes_go_first(mine: Workspace) -> None:
    worker()
    (free,) = line(mine, tier="free")
    line(mine, 3)
    assert starts(free) == [3]
    assert look(free).position == 1


def test_a_late_lane_goes_before_a_higher_one(mine: Workspace) -> None:
    worker()
    (free,) = line(mine, tier="free")
    line(mine, 3)
    Flow.objects.filter(lane="still.free").update(oldest_at=timezone.now() - timedelta(hours=1))
    assert starts(free) == [0]


def test_a_dedicated_worker_leaves_the_other_lanes_alone(mine: Workspace) -> None:
    worker(lanes=("paid",))
    worker("w2", lanes=("free",))
    paid, free = line(mine, 3), line(mine, 2, tier="free")
    assert starts(*paid, *free) == [0, 1, 2, 0, 1]


def test_what_arrives_meanwhile_is_reckoned_with(mine: Workspace) -> None:
    worker()
    jobs = line(mine, 4, tier="free")
    LaneClock.objects.create(lane="still.paid", hourly_jobs=1800, hourly_ms=1800 * SECOND)  # half of the worker
    with_arrivals = starts(*jobs)
    LaneClock.objects.update(hourly_jobs=0)
    without = starts(*jobs)
    assert without == [0, 1, 2, 3]
    assert with_arrivals[0] == 0
    assert 4 <= with_arrivals[3] <= 8


def test_what_arrives_where_nobody_serves_holds_nobody_up(mine: Workspace) -> None:
    worker(lanes=("paid",))
    (job,) = line(mine, tier="free")
    LaneClock.objects.create(lane="still.free", hourly_jobs=1800, hourly_ms=1800 * SECOND)
    assert look(job).no_worker


def test_arrivals_are_measured(mine: Workspace) -> None:
    LaneClock.objects.create(lane="still.paid")
    LaneClock.objects.create(lane="still.free", hourly_jobs=7, hourly_ms=7)
    line(mine, 3)
    Job.objects.filter(pk=line(mine)[0].pk).update(queued_at=timezone.now() - timedelta(hours=5))
    pace.measure_arrivals()
    found = {clock.lane: (clock.hourly_jobs, clock.hourly_ms) for clock in LaneClock.objects.all()}
    assert found == {"still.paid": (3 / 4, 3000 / 4), "still.free": (0, 0)}


def test_who_comes_after_the_rehearsal_is_reckoned_from_it(
    mine: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker()
    jobs = line(mine, 12)
    (free,) = line(mine, tier="free")
    exact = starts(jobs[10], free)
    monkeypatch.setattr(outlook, "CLAIMS", 5)
    assert exact == [10, 12]
    assert starts(jobs[10], free) == pytest.approx(exact, rel=0.3)


def test_those_who_come_after_the_rehearsal_share_a_query(
    mine: Workspace, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    monkeypatch.setattr(outlook, "CLAIMS", 2)
    worker()
    jobs = line(mine, 20, tier="free")
    with django_assert_num_queries(9):
        assert len(outlook.outlooks(jobs)) == 20


def test_each_worker_has_its_own_pace(mine: Workspace) -> None:
    for _ in range(50):
        ended(mine, step=2 / 8, gpu="old card")
    pace.measure()
    worker(gpu_name="old card")
    assert starts(*line(mine, 2)) == [0, 2]


def test_a_running_job_ends_by_what_is_left_of_its_steps(mine: Workspace) -> None:
    line(mine)
    job = start()
    Job.objects.filter(pk=job.pk).update(progress=0.5)
    found = look(job)
    assert (found.position, found.starts_in) == (None, None)
    assert found.ends_in is not None
    assert found.ends_in.likely == pytest.approx(1, rel=0.01)  # half of its second, and the finish stage


def test_a_running_job_whose_steps_are_done_ends_by_the_clock(mine: Workspace) -> None:
    line(mine)
    job = start()
    Job.objects.filter(pk=job.pk).update(progress=1)
    Attempt.objects.update(engine_started_at=timezone.now() - timedelta(hours=1))
    found = look(job)
    assert found.ends_in is not None
    assert found.ends_in.likely == pytest.approx(0.5, rel=0.01)


def test_a_finishing_job_ends_with_the_finish_stage(mine: Workspace) -> None:
    line(mine)
    job = start()
    attempts.start_finishing(job, {}, steps=8)
    found = look(job)
    assert found.ends_in is not None
    assert 0.2 < found.ends_in.likely <= 0.5
    Attempt.objects.update(engine_ended_at=timezone.now() - timedelta(hours=1))
    assert look(job).ends_in == Span(0, 0, 0)


def test_a_scheduled_job_has_no_place_yet(mine: Workspace) -> None:
    worker()
    (job,) = line(mine, state=Job.State.SCHEDULED, not_before=timezone.now() + timedelta(hours=1))
    found = look(job)
    assert (found.position, found.ends_in, found.starts_at) == (None, None, None)


@pytest.mark.parametrize("state", sorted(Job.TERMINAL))
def test_of_a_job_that_has_ended_nothing_is_expected(mine: Workspace, state: str) -> None:
    (job,) = line(mine)
    Job.objects.filter(pk=job.pk).update(state=state, ended_at=timezone.now())
    job.refresh_from_db()
    assert outlook.outlook(job) is None


def test_a_job_claimed_a_moment_ago_is_in_nobodys_way(mine: Workspace) -> None:
    (stale,) = line(mine)
    start()
    found = outlook.outlook(stale)  # read before the claim
    assert found is not None
    assert (found.position, found.ends_in) == (None, None)


def test_many_outlooks_cost_what_one_does(
    mine: Workspace, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    worker()
    jobs = [*line(mine, 30), *line(workspace_of(2), 10, tier="free")]
    start()
    for some in (jobs[1:2], jobs):
        with django_assert_num_queries(9):  # the jobs' own among them
            assert len(outlook.outlooks(Job.objects.filter(pk__in=[job.pk for job in some]))) == len(some)
    with django_assert_num_queries(4):
        outlook.outlooks(Job.objects.filter(state="running"))
    with django_assert_num_queries(0):
        assert outlook.outlooks([Job(state="succeeded")]) == {}


def test_it_agrees_with_the_plan_of_a_workspace_without_one(mine: Workspace) -> None:
    """Without a subscription the default plan's limit holds."""
    mine.subscription.delete()  # type: ignore[attr-defined]
    Plan.objects.filter(is_default=True).update(concurrent_jobs=1)
    worker()
    worker("w2")
    assert starts(*line(mine, 2)) == [0, 1.5]


def test_it_agrees_with_what_is_agreed_with_a_workspace_alone(mine: Workspace) -> None:
    """Of several overrides the newest holds, and the plan's own limit once it is over."""
    Plan.objects.filter(subscriptions__workspace=mine).update(concurrent_jobs=1)
    worker()
    worker("w2")
    line(mine, 2)
    jobs = list(Job.objects.filter(workspace=mine, state="queued").order_by("id"))
    assert starts(*jobs) == [0, 1.5]
    ends = timezone.now() + timedelta(days=1)
    for number in (1, 2):
        PlanOverride.objects.create(
            workspace=mine, limit="concurrent_jobs", value=number, reason="a launch", ends_at=ends
        )
    assert starts(*jobs) == [0, 0]
    PlanOverride.objects.update(created_at=timezone.now() - timedelta(days=1))
    PlanOverride.objects.update(ends_at=timezone.now())
    assert starts(*jobs) == [0, 1.5]
