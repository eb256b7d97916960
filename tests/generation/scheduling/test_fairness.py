"""Whose turn it is: shares by weight and work, nobody starved, and what holds a workspace back."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from billing.models import Plan
from generation import attempts, recovery, services
from generation.models import Flow, Job
from generation.scheduling import flows
from generation.scheduling.lanes import Lane
from tests.generation.crowd import claimed, names, tenant
from tests.generation.samples import PAID, submit

SECOND = 100
"""Steps of the still model that are a second's work."""

pytestmark = pytest.mark.django_db


def test_shares_go_by_weight() -> None:
    heavy, light = tenant("heavy", weight=4), tenant("light", weight=1)
    for _ in range(50):
        submit(heavy, steps=SECOND)
        submit(light, steps=SECOND)
    got = Counter(names(claimed(50)))
    assert got == {"heavy": 40, "light": 10}


def test_shares_are_of_work_and_not_of_jobs() -> None:
    long, short = tenant("long"), tenant("short")
    for _ in range(4):
        submit(long, steps=10 * SECOND)
    for _ in range(40):
        submit(short, steps=SECOND)
    got = Counter(names(claimed(22)))
    assert got == {"long": 2, "short": 20}


def test_who_comes_last_does_not_wait_for_a_long_queue_of_another() -> None:
    crowd, late = tenant("crowd"), tenant("late")
    for _ in range(30):
        submit(crowd, steps=SECOND)
    claimed(10)
    submit(late, steps=SECOND)
    assert "late" in names(claimed(2))


def test_within_a_workspace_the_oldest_is_first() -> None:
    access = tenant("one")
    jobs = [submit(access, steps=steps) for steps in (900, 1, 300)]
    assert claimed(3) == jobs


def test_nobody_saves_up_turns_while_idle() -> None:
    sleeper, worker = tenant("sleeper"), tenant("worker")
    submit(sleeper, steps=SECOND)
    for _ in range(40):
        submit(worker, steps=SECOND)
    claimed(21)
    for _ in range(10):
        submit(sleeper, steps=SECOND)
    got = Counter(names(claimed(10)))
    assert abs(got["sleeper"] - got["worker"]) <= 2


def test_a_job_that_was_given_back_goes_next_and_is_charged_once() -> None:
    first, second = tenant("first"), tenant("second")
    mine = submit(first, steps=SECOND)
    submit(first, steps=SECOND)
    for _ in range(3):
        submit(second, steps=SECOND)
    (job,) = claimed(1)
    assert job == mine
    before = Flow.objects.get(workspace=first.workspace).tag
    attempts.give_back(job, "test", "given back", blame="", counts=False)
    assert claimed(1) == [mine]
    assert Flow.objects.get(workspace=first.workspace).tag == before


@dataclass
class Reference:
    """Start-time fair queueing as the paper says it: tags given on arrival, smallest start tag first."""

    weights: dict[str, int]
    virtual_time: int = 0
    finish: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    queue: dict[str, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))

    def arrive(self, who: str, job: str, work_ms: int) -> None:
        start = max(self.virtual_time, self.finish[who])
        self.finish[who] = start + flows.charge(work_ms, self.weights[who])
        self.queue[who].append((start, job))

    def serve(self, tie: list[str]) -> str | None:
        waiting = [who for who in tie if self.queue[who]]
        if not waiting:
            return None
        who = min(waiting, key=lambda one: (self.queue[one][0][0], tie.index(one)))
        start, job = self.queue[who].pop(0)
        self.virtual_time = max(self.virtual_time, start)
        return job


class AgainstTheTextbook(TestCase):
    """The claim's order is that of the textbook algorithm, whatever arrives when."""

    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        weights=st.lists(st.integers(1, 5), min_size=2, max_size=4),
        story=st.lists(
            st.one_of(st.just("claim"), st.tuples(st.integers(0, 3), st.integers(1, 500))), min_size=5, max_size=40
        ),
    )
    def test_order(self, weights: list[int], story: list[object]) -> None:
        people = [tenant(f"w{number}", weight=weight) for number, weight in enumerate(weights)]
        textbook = Reference({f"w{number}": weight for number, weight in enumerate(weights)})
        joined: list[str] = []
        for event in [*story, *["claim"] * len(story)]:
            if isinstance(event, tuple):
                who = event[0] % len(people)
                job = submit(people[who], steps=event[1])
                textbook.arrive(f"w{who}", str(job.pk), job.work_ms)
                if f"w{who}" not in joined:
                    joined.append(f"w{who}")
            else:
                got = claimed(1)
                assert [str(job.pk) for job in got] == [job for job in [textbook.serve(joined)] if job]


class Bound(TestCase):
    """The theorem of fair queueing: two workspaces that both have work drift apart by a job each at most."""

    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        first=st.lists(st.integers(1, 500), min_size=12, max_size=12),
        second=st.lists(st.integers(1, 500), min_size=12, max_size=12),
        weights=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    )
    def test_bound(self, first: list[int], second: list[int], weights: tuple[int, int]) -> None:
        people = [tenant("a", weight=weights[0]), tenant("b", weight=weights[1])]
        for steps in first:
            submit(people[0], steps=steps)
        for steps in second:
            submit(people[1], steps=steps)
        share = dict(zip("ab", weights, strict=True))
        served: Counter[str] = Counter()
        largest = {"a": max(first) * 10 / share["a"], "b": max(second) * 10 / share["b"]}
        while Flow.objects.filter(waiting__gt=0).count() == 2:
            (job,) = claimed(1)
            served[job.workspace.name] += job.work_ms
            apart = abs(served["a"] / share["a"] - served["b"] / share["b"])
            assert apart <= largest["a"] + largest["b"] + 24  # rounding: a millisecond a job


def test_a_workspace_runs_no_more_than_its_plan_lets_it_and_others_go_on() -> None:
    small, other = tenant("small", concurrent_jobs=2), tenant("other")
    mine = [submit(small, steps=SECOND) for _ in range(4)]
    theirs = submit(other, steps=50 * SECOND)
    got = claimed(10)
    assert set(got) == {*mine[:2], theirs}
    flow = Flow.objects.get(workspace=small.workspace)
    assert (flow.throttled, flow.waiting) == (True, 2)
    assert Job.objects.get(pk=mine[2].pk).state == "queued"


def test_a_workspace_held_back_goes_on_when_a_job_of_its_ends() -> None:
    small = tenant("small", concurrent_jobs=1)
    first, second = (submit(small, steps=SECOND) for _ in range(2))
    (job,) = claimed(5)
    assert job == first
    attempts.fail(job, "test", "failed")
    assert not Flow.objects.get(workspace=small.workspace).throttled
    assert claimed(5) == [second]


def test_the_limit_counts_all_lanes_of_the_workspace() -> None:
    small = tenant("small", concurrent_jobs=1)
    submit(small)
    batch = submit(small, tier="batch")
    assert len(claimed(1)) == 1
    assert claimed(1, Lane("still", "batch")) == []
    assert Flow.objects.get(lane="still.batch").throttled
    services.cancel(small, Job.objects.get(state="running").pk)
    assert claimed(1, Lane("still", "batch")) == [batch]


def test_coming_back_from_being_held_back_is_no_head_start() -> None:
    small, other = tenant("small", concurrent_jobs=1), tenant("other")
    for _ in range(10):
        submit(small, steps=SECOND)
    for _ in range(40):
        submit(other, steps=SECOND)
    running = next(job for job in claimed(20) if job.workspace == small.workspace)
    Plan.objects.filter(slug=str(small.workspace.pk)).update(concurrent_jobs=1000)
    attempts.fail(running, "test", "failed")
    got = Counter(names(claimed(10)))
    assert abs(got["small"] - got["other"]) <= 2


def test_a_raised_limit_lets_a_workspace_go_on_without_an_end() -> None:
    small = tenant("small", concurrent_jobs=1)
    submit(small)
    second = submit(small)
    assert len(claimed(5)) == 1
    assert recovery.release_throttled_flows() == 0
    Plan.objects.filter(slug=str(small.workspace.pk)).update(concurrent_jobs=2)
    assert recovery.release_throttled_flows() == 1
    assert claimed(5) == [second]


def test_flows_are_counted_anew_where_jobs_were_changed_behind_their_back() -> None:
    access = tenant("one")
    submit(access)
    Job.objects.all().delete()
    assert claimed(1) == []
    flow = Flow.objects.get()
    assert (flow.waiting, flow.waiting_ms) == (0, 0)
    job = submit(access)
    assert claimed(1) == [job]
    assert str(PAID) == flow.lane
