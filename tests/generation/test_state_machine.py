"""A model of the state machine: any interleaving of what can happen to jobs keeps the invariants.

Hypothesis draws stories: people submit, schedule and cancel, workers claim, go on, finish and fail, leases run
out, upkeep comes round late or twice, operators pause, resume and boost, and workers that were given up (they keep
their old copy of the job) write late. After every step the database is held against a model of what must be true.
"""

from __future__ import annotations

import contextlib
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test

from assets.models import Asset
from billing.models import Plan
from generation import attempts, control, recovery, services
from generation.engines.base import EngineError
from generation.errors import AlreadyEnded
from generation.models import Attempt, Flow, Job, Pause
from generation.scheduling.claims import Claimant, claim
from generation.scheduling.lanes import Lane
from generation.services import JobRequest
from tests.generation.crowd import tenant
from tests.generation.samples import unsaved_clip

TIERS = ["paid", "free"]
LANES = [Lane("still", tier) for tier in TIERS]
LEGAL = {
    "": {"queued", "scheduled"},
    "scheduled": {"queued", "cancelled", "failed"},
    "queued": {"started", "cancelled", "failed"},
    "started": {"finishing", "returned", "failed", "cancelled"},
    "finishing": {"succeeded", "returned", "failed", "cancelled"},
    "returned": {"started", "cancelled", "failed"},
    "succeeded": set(),
    "failed": set(),
    "cancelled": set(),
}
"""Which event may follow which: the diagram of `Job`, as events."""


class JobsMachine(RuleBasedStateMachine):
    """Rules are what can happen; `copies` are workers' own copies of jobs they have claimed, fresh and stale."""

    jobs = Bundle("jobs")
    copies = Bundle("copies")

    def __init__(self) -> None:
        super().__init__()
        self.savepoint = transaction.atomic()
        self.savepoint.__enter__()
        self.people = [tenant(f"w{number}", weight=number + 1, concurrent_jobs=number + 1) for number in range(2)]
        self.published: dict[UUID, int] = {}
        self.ended: dict[UUID, str] = {}
        self.lost: set[tuple[UUID, int]] = set()

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.savepoint.__exit__(None, None, None)

    # --- People ---

    @rule(target=jobs, who=st.integers(0, 1), tier=st.sampled_from(TIERS), steps=st.integers(1, 50))
    def submit(self, who: int, tier: str, steps: int) -> UUID:
        return services.submit(self.people[who], JobRequest(model="still", mode="t2v", tier=tier, steps=steps)).pk

    @rule(target=jobs, who=st.integers(0, 1))
    def schedule(self, who: int) -> UUID:
        later = timezone.now() + timedelta(hours=1)
        job = services.submit(self.people[who], JobRequest(model="still", mode="t2v", not_before=later))
        assert job.state == "scheduled"
        return job.pk

    @rule(job=jobs)
    def cancel(self, job: UUID) -> None:
        before = Job.objects.get(pk=job)
        owner = next(access for access in self.people if access.workspace.pk == before.workspace_id)
        with contextlib.suppress(AlreadyEnded):
            services.cancel(owner, job)
            assert before.state in Job.ACTIVE | {"cancelled"}

    # --- Workers ---

    @rule(target=copies, order=st.permutations(LANES))
    def claim(self, order: list[Lane]) -> object:
        waiting = self.claimable()
        job = claim(order, Claimant("w", "here/0"))
        assert (job is not None) == bool(waiting)
        if job is None:
            return multiple()
        assert job.pk in waiting
        return job

    @rule(copy=copies)
    def renew(self, copy: Job) -> None:
        held = self.holds(copy)
        assert attempts.renew(copy) == held
        assert attempts.is_held(copy) == held

    @rule(copy=copies, progress=st.floats(0, 1))
    def progress(self, copy: Job, progress: float) -> None:
        runs = self.holds(copy) and Job.objects.get(pk=copy.pk).state == "running"
        assert attempts.note_progress(copy, progress) == runs

    @rule(copy=copies)
    def frames_made(self, copy: Job) -> None:
        may = self.holds(copy)  # also a second time: whoever says it may not know whether it was heard
        try:
            attempts.start_finishing(copy, {}, steps=8)
            assert may
        except attempts.Lost:
            assert not may

    @rule(copy=copies)
    def publish(self, copy: Job) -> None:
        may = self.holds(copy) and Job.objects.get(pk=copy.pk).state == "finishing"
        try:
            attempts.succeed(copy, unsaved_clip(copy))
            assert may
            self.published[copy.pk] = self.published.get(copy.pk, 0) + 1
        except attempts.Lost:
            assert not may

    @rule(copy=copies, blame=st.sampled_from(["user", "machine", "ours"]), memory=st.booleans())
    def fail(self, copy: Job, blame: str, memory: bool) -> None:
        attempts.settle_error(copy, EngineError("out_of_memory" if memory else "broken", "it broke", blame))

    @rule(copy=copies)
    def break_clip(self, copy: Job) -> None:
        before = Job.objects.get(pk=copy.pk)
        held, checks = self.holds(copy), before.clip_checks.count()
        attempts.settle_error(copy, EngineError("clip_broken", "the clip is black", "ours"))
        after = Job.objects.get(pk=copy.pk)
        assert after.clip_checks.count() == checks + held
        if held:
            assert after.state == ("failed" if before.is_reseeded else "queued")
            assert (after.is_reseeded, after.failures) == (True, before.failures)
            assert (after.seed == before.seed) == before.is_reseeded

    @rule(copy=copies)
    def drain(self, copy: Job) -> None:
        before = Job.objects.get(pk=copy.pk)
        held = self.holds(copy)
        assert attempts.give_back(copy, "stopped", "the worker was stopped", blame="", counts=False) == held
        if held:
            assert Job.objects.get(pk=copy.pk).failures == before.failures

    # --- Time ---

    @rule(job=jobs)
    def lease_runs_out(self, job: UUID) -> None:
        late = Job.objects.filter(pk=job, state__in=Job.HELD)
        self.lost |= set(late.values_list("pk", "attempt"))
        late.update(lease_expires_at=Now() - timedelta(seconds=1))

    @rule(job=jobs)
    def deadline_passes(self, job: UUID) -> None:
        Job.objects.filter(pk=job).update(deadline=Now() - timedelta(seconds=1))

    @rule(job=jobs)
    def time_comes(self, job: UUID) -> None:
        Job.objects.filter(pk=job, state="scheduled").update(not_before=Now() - timedelta(seconds=1))

    @rule(times=st.integers(1, 2))
    def upkeep(self, times: int) -> None:
        for _ in range(times):
            recovery.return_lost_jobs()
            recovery.expire_overdue_jobs()
            recovery.release_scheduled_jobs()
            recovery.release_throttled_flows()
        assert not Job.objects.filter(state__in=Job.HELD, lease_expires_at__lte=Now()).exists()
        assert not Job.objects.filter(state__in=Job.ACTIVE, deadline__lte=Now()).exists()
        assert not Job.objects.filter(state="scheduled", not_before__lte=Now()).exists()

    # --- Operators ---

    @rule(scope=st.sampled_from(["*", "still", "still.free"]))
    def pause_or_resume(self, scope: str) -> None:
        if not control.pause(scope):
            control.resume(scope)

    @rule(job=jobs, priority=st.integers(-1, 2))
    def boost(self, job: UUID, priority: int) -> None:
        assert control.boost(job, priority) == (Job.objects.get(pk=job).state in Job.WAITING)

    @rule(limit=st.integers(1, 3))
    def change_plan(self, limit: int) -> None:
        Plan.objects.filter(slug=str(self.people[0].workspace.pk)).update(concurrent_jobs=limit)
        recovery.release_throttled_flows()

    # --- What must be true ---

    @invariant()
    def flows_agree_with_jobs(self) -> None:
        for flow in Flow.objects.all():
            queued = Job.objects.filter(lane=flow.lane, workspace=flow.workspace_id, state="queued")
            assert flow.waiting == queued.count()
            assert flow.waiting_ms == sum(queued.values_list("work_ms", flat=True))
            assert flow.priority == max(queued.values_list("priority", flat=True), default=0)
            if flow.throttled:
                assert self.in_hand(flow.workspace_id) >= self.limit(flow.workspace_id)
        in_flows = set(Flow.objects.filter(waiting__gt=0).values_list("lane", "workspace_id"))
        assert in_flows == set(Job.objects.filter(state="queued").values_list("lane", "workspace_id"))

    @invariant()
    def events_follow_the_diagram(self) -> None:
        for job in Job.objects.all():
            last = ""
            for kind in job.events.order_by("id").values_list("kind", flat=True):
                assert kind in LEGAL[last], (last, kind)
                last = kind
            names = {"started": "running", "returned": "queued"}
            assert names.get(last, last) == job.state

    @invariant()
    def an_end_is_an_end(self) -> None:
        for job in Job.objects.all():
            if job.pk in self.ended:
                assert job.state == self.ended[job.pk]
            if job.state in Job.TERMINAL:
                self.ended[job.pk] = job.state
                assert (job.ended_at is not None, job.lease_expires_at) == (True, None)
            assert (job.state == "succeeded") == (self.published.get(job.pk, 0) == 1)
            assert (job.output_id is not None) == (job.state == "succeeded")
        assert Asset.objects.count() == sum(self.published.values())

    @invariant()
    def attempts_are_accounted_for(self) -> None:
        for job in Job.objects.all():
            numbers = list(job.attempts.values_list("number", "outcome"))
            assert [number for number, _ in numbers] == list(range(1, job.attempt + 1))
            under_way = [number for number, outcome in numbers if outcome == Attempt.Outcome.UNDER_WAY]
            assert under_way == ([job.attempt] if job.state in Job.HELD else [])
            assert job.failures <= 3

    @invariant()
    def a_broken_clip_is_made_once_more(self) -> None:
        for job in Job.objects.all():
            broken = list(job.clip_checks.order_by("attempt").values_list("verdict", flat=True))
            assert len(broken) <= 2
            assert job.is_reseeded == bool(broken)
            assert len(broken) < 2 or job.state == "failed"

    # --- The model ---

    def holds(self, copy: Job) -> bool:
        """Whether this copy's attempt still has the job: nobody else can have it by then."""
        if (copy.pk, copy.attempt) in self.lost:
            return False
        now = Job.objects.get(pk=copy.pk)
        return now.state in Job.HELD and now.attempt == copy.attempt

    def in_hand(self, workspace: UUID) -> int:
        return Job.objects.filter(workspace=workspace, state__in=Job.HELD).count()

    def limit(self, workspace: UUID) -> int:
        return Plan.objects.get(slug=str(workspace)).concurrent_jobs

    def claimable(self) -> set[UUID]:
        """Jobs that a claim from both lanes may give: queued, lane not paused, workspace below its limit."""
        paused = set(Pause.objects.values_list("scope", flat=True))
        if "*" in paused or "still" in paused:
            return set()
        queued = Job.objects.filter(state="queued").exclude(lane__in=paused)
        return {job.pk for job in queued if self.in_hand(job.workspace_id) < self.limit(job.workspace_id)}


@pytest.mark.django_db
def test_jobs() -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        JobsMachine,
        settings=settings(
            max_examples=12,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],  # shrinking a story in a database takes minutes
        ),
    )
