"""The position that is told is the order in which the claim takes the jobs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID

from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from billing.entitlements import entitlements_of
from generation import control
from generation.forecast.positions import NO_FLOW, place_of_newcomer, places
from generation.models import Flow, Job
from generation.scheduling.claims import Claimant, claim
from mutoscope.accounts.models import Workspace
from tests.generation.lines import queued, workspace_of
from tests.generation.samples import PAID


@dataclass(frozen=True)
class Tenant:
    """What a workspace has waiting: so many jobs of equal work, some of them boosted."""

    weight: int
    work_ms: int
    jobs: int
    boosts: tuple[int, ...]
    tag: int


tenants = st.lists(
    st.builds(
        Tenant,
        weight=st.integers(1, 6),
        work_ms=st.integers(1, 900),
        jobs=st.integers(1, 6),
        boosts=st.lists(st.sampled_from([0, 0, 0, 1, 5]), max_size=3).map(tuple),
        tag=st.sampled_from([0, 0, 7, 500]),
    ),
    min_size=1,
    max_size=5,
)


def claims() -> list[UUID]:
    """Everything that waits, in the order in which the claim takes it."""
    taken = []
    while job := claim([PAID], Claimant("w")):
        taken.append(job.pk)
    return taken


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=tenants)
def test_the_position_is_the_order_of_the_claims(db: None, drawn: list[Tenant]) -> None:
    with transaction.atomic():
        jobs = _line(drawn)
        told = {pk: place.ahead for pk, place in places([job.pk for job in jobs]).items()}
        assert sorted(told, key=lambda pk: told[pk]) == claims()
        assert sorted(told.values()) == list(range(len(jobs)))
        transaction.set_rollback(True)


def _line(drawn: list[Tenant]) -> list[Job]:
    jobs = []
    for number, tenant in enumerate(drawn):
        workspace = workspace_of(number, weight=tenant.weight)
        own = [queued(workspace, work_ms=tenant.work_ms) for _ in range(tenant.jobs)]
        Flow.objects.filter(workspace=workspace).update(tag=tenant.tag)
        for job, priority in zip(own[::-1], tenant.boosts, strict=False):
            control.boost(job.pk, priority)
        jobs += own
    return jobs


def _ahead(jobs: list[Job]) -> list[int]:
    found = places([job.pk for job in jobs])
    return [found[job.pk].ahead for job in jobs]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=tenants, work_ms=st.integers(1, 900), who=st.integers(0, 5), is_new=st.booleans())
def test_the_place_before_submitting_is_the_one_after(
    db: None, drawn: list[Tenant], work_ms: int, who: int, is_new: bool
) -> None:
    with transaction.atomic():
        jobs = _line(drawn)
        claim([PAID], Claimant("w"))  # the lane's clock has moved
        workspace = workspace_of(99, weight=3) if is_new else jobs[who % len(jobs)].workspace
        plan = entitlements_of(workspace.pk)
        told = place_of_newcomer(_unsaved(workspace, work_ms), plan)
        place = places([pk := queued(workspace, work_ms=work_ms).pk])[pk]
        assert told.flow_id in (place.flow_id, NO_FLOW)
        assert replace(told, flow_id=0) == replace(place, flow_id=0)
        transaction.set_rollback(True)


def _unsaved(workspace: Workspace, work_ms: int) -> Job:
    return Job(workspace=workspace, lane=str(PAID), work_ms=work_ms)


def test_a_newcomer_waits_for_the_end_of_one_of_its_workspaces_jobs(db: None) -> None:
    small = workspace_of(1, concurrent_jobs=1)
    queued(small)
    assert not place_of_newcomer(_unsaved(small, 80), entitlements_of(small.pk)).throttled
    claim([PAID], Claimant("w"))
    assert place_of_newcomer(_unsaved(small, 80), entitlements_of(small.pk)).throttled


def test_weights_are_shares(db: None) -> None:
    light, heavy = workspace_of(1), workspace_of(2, weight=4)
    few = [queued(light, work_ms=100) for _ in range(2)]
    many = [queued(heavy, work_ms=100) for _ in range(8)]
    assert _ahead(few) == [0, 5]
    assert _ahead(many) == [1, 2, 3, 4, 6, 7, 8, 9]


def test_what_operators_put_last_is_last(db: None) -> None:
    last = queued(workspace_of(1))
    others = [queued(workspace) for workspace in (workspace_of(2), workspace_of(3)) for _ in range(2)]
    control.boost(last.pk, -1)
    assert _ahead([last]) == [4]
    assert _ahead(others) == [0, 2, 1, 3]
    assert claims()[-1] == last.pk


def test_who_is_throttled_is_in_nobodys_way(db: None) -> None:
    small, other = workspace_of(1, concurrent_jobs=1), workspace_of(2)
    held = [queued(small) for _ in range(3)]
    free = [queued(other) for _ in range(2)]
    claimed = claim([PAID], Claimant("w"))
    assert claimed == held[0]
    found = places([job.pk for job in held + free])
    assert held[0].pk not in found
    assert [found[job.pk].throttled for job in held[1:] + free] == [True, True, False, False]
    assert [found[job.pk].ahead for job in free] == [0, 1]


def test_other_lanes_do_not_count(db: None) -> None:
    workspace = workspace_of(1)
    queued(workspace, tier="free")
    assert _ahead([queued(workspace)]) == [0]


def test_the_work_ahead_is_told(db: None) -> None:
    mine, theirs = workspace_of(1), workspace_of(2)
    jobs = [queued(mine, work_ms=100) for _ in range(2)]
    queued(theirs, work_ms=70)
    assert places([jobs[1].pk])[jobs[1].pk].work_ms == 170


def test_many_places_are_one_query(db: None, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    workspaces: list[Workspace] = [workspace_of(number) for number in range(4)]
    jobs = [queued(workspace) for workspace in workspaces for _ in range(5)]
    with django_assert_num_queries(1):
        assert sorted(_ahead(jobs)) == list(range(20))
    with django_assert_num_queries(0):
        assert places([]) == {}
