"""Simulated waits: as queueing theory has them where it knows, and in the order of real claims."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from math import factorial
from random import Random
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generation import attempts
from generation.models import Job
from generation.planner import simulation
from generation.planner.demand import FLAT, HOUR, PROFILES, WORKING_DAY, busiest_share, moments
from generation.planner.simulation import Arrival, Tenant
from generation.scheduling.claims import Claimant, claim
from generation.scheduling.lanes import Lane
from tests.generation.crowd import tenant
from tests.generation.samples import submit

PAID = {"paid": 60.0}
NEVER_LATE = {"paid": 1e9, "free": 1e9}


def clips(
    per_day: int, work: float, *, days: int = 3, profile: str = FLAT, workspaces: int = 5, seed: int = 1
) -> list[Arrival]:
    return simulation.demand(
        per_day, work, profile=profile, tiers={"paid": 1}, workspaces=workspaces, days=days, seed=seed
    )


def waited(arrivals: list[Arrival], fleet: int, workspaces: int = 5, **of: int) -> list[float]:
    return simulation.waits(arrivals, fleet, [Tenant(**{"concurrent_jobs": 1000, **of})] * workspaces, PAID)


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_one_gpu_and_equal_clips_are_an_m_d_1_queue(load: float) -> None:
    """The mean wait is load × work ÷ 2 (1 − load), by Pollaczek and Khinchine."""
    work = load * 24 * HOUR / 20_000
    found = fmean(waited(clips(20_000, work), fleet=1))
    assert found == pytest.approx(load * work / (2 * (1 - load)), rel=0.06)


@pytest.mark.parametrize("gpus", [2, 5])
def test_several_gpus_and_random_clips_are_an_m_m_c_queue(gpus: int) -> None:
    """The mean wait is by Erlang's C formula."""
    load, chance = 0.75, Random(7)  # noqa: S311
    mean = load * gpus * 24 * HOUR / 20_000
    arrivals = [Arrival(one.at, 0, one.lane, chance.expovariate(1 / mean)) for one in clips(20_000, 1.0, days=2)]
    offered = load * gpus
    last = offered**gpus / factorial(gpus) / (1 - load)
    must_wait = last / (sum(offered**k / factorial(k) for k in range(gpus)) + last)
    expected = must_wait * mean / (gpus * (1 - load))
    assert fmean(waited(arrivals, gpus, workspaces=1)) == pytest.approx(expected, rel=0.1)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), workspaces=st.integers(1, 8), profile=st.sampled_from(list(PROFILES)))
def test_more_gpus_make_nobody_wait_longer(seed: int, workspaces: int, profile: str) -> None:
    """At the same arrivals; fairness may order two clips otherwise, so by at most a clip's work."""
    arrivals = clips(1_500, 100.0, days=1, profile=profile, workspaces=workspaces, seed=seed)
    p95 = [simulation.summary(waited(arrivals, fleet, workspaces)).p95 for fleet in range(1, 7)]
    assert all(more <= fewer + 100 for fewer, more in pairwise(p95)), p95
    means = [fmean(waited(arrivals, fleet, workspaces)) for fleet in range(1, 7)]
    assert means == sorted(means, reverse=True)


def test_fairness_changes_who_waits_and_not_how_long_all_wait_together() -> None:
    arrivals = clips(3_000, 25.0, workspaces=5)
    alone = [Arrival(one.at, 0, one.lane, one.work) for one in arrivals]
    assert sum(waited(arrivals, 1)) == pytest.approx(sum(waited(alone, 1)))


def test_the_same_seed_tells_the_same() -> None:
    assert clips(500, 10) == clips(500, 10)
    assert clips(500, 10) != clips(500, 10, seed=2)


def test_arrivals_follow_the_profile() -> None:
    found = Counter(int(at // HOUR) % 24 for at in moments(20_000, WORKING_DAY, 3, Random(1)))  # noqa: S311
    total = sum(found.values())
    assert total == pytest.approx(60_000, rel=0.02)
    weights = PROFILES[WORKING_DAY]
    for hour, weight in enumerate(weights):
        assert found[hour] / total == pytest.approx(weight / sum(weights), rel=0.15)
    assert busiest_share(WORKING_DAY) == max(weights) / sum(weights)
    assert busiest_share(FLAT) == 1 / 24


def test_a_plans_limit_on_concurrent_jobs_holds() -> None:
    together = [Arrival(0.0, 0, "paid", 10.0)] * 4
    assert waited(together, 4) == [0, 0, 0, 0]
    assert waited(together, 4, concurrent_jobs=2) == [0, 0, 10, 10]


def test_a_late_lane_goes_first() -> None:
    arrivals = [Arrival(0.0, 0, "free", 10.0), *[Arrival(0.0, 1, "paid", 10.0)] * 6]
    tenants = [Tenant(10), Tenant(10)]
    patient = simulation.waits(arrivals, 1, tenants, {"paid": 1000.0, "free": 1000.0})
    assert patient == [60, 0, 10, 20, 30, 40, 50]
    promised = simulation.waits(arrivals, 1, tenants, {"paid": 1000.0, "free": 15.0})
    assert promised == [20, 0, 10, 30, 40, 50, 60]


def test_percentiles_are_waits_that_there_were() -> None:
    found = simulation.summary(range(1, 201))
    assert (found.clips, found.mean, found.p50, found.p95, found.p99) == (200, 100.5, 100, 190, 198)
    assert simulation.summary([3.0]).p99 == 3


@pytest.mark.parametrize(("seed", "fleet"), [(1, 1), (2, 3)])
def test_the_order_is_that_of_real_claims(db: None, seed: int, fleet: int) -> None:
    """A small story twice: simulated, and submitted, claimed and ended in the database at those moments."""
    chance = Random(seed)  # noqa: S311
    tenants = [Tenant(2, 1), Tenant(1, 3), Tenant(9, 2)]
    people = [
        tenant(f"w{number}", weight=one.weight, concurrent_jobs=one.concurrent_jobs)
        for number, one in enumerate(tenants)
    ]
    moments = sorted(chance.uniform(0, 30) for _ in range(30))
    steps = [chance.randint(100, 500) for _ in moments]
    arrivals = [
        Arrival(at, chance.randrange(3), chance.choice(["paid", "free"]), step / 100)
        for at, step in zip(moments, steps, strict=True)
    ]
    waits = simulation.waits(arrivals, fleet, tenants, NEVER_LATE)
    assert max(waits) > 5
    story: list[tuple[float, int, int]] = []
    for number, (arrival, wait) in enumerate(zip(arrivals, waits, strict=True)):
        starts = arrival.at + wait
        story += [(starts + arrival.work, 0, number), (arrival.at, 1, number), (starts, 2, number)]
    jobs: dict[int, Job] = {}
    for _, what, number in sorted(story):
        arrival = arrivals[number]
        if what == 0:
            attempts.fail(jobs[number], "test", "over")
        elif what == 1:
            jobs[number] = submit(people[arrival.workspace], tier=arrival.lane, steps=steps[number])
        else:
            claimed = claim([Lane("still", "paid"), Lane("still", "free")], Claimant("w"))
            assert claimed == jobs[number]
            jobs[number] = claimed
