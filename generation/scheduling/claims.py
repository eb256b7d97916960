"""Claiming: which queued job is next, decided when a worker is free and not before.

The lane: the first that has work, in the worker's order, unless one has waited past its promise. Within the lane
the workspace whose turn it is (`flows`), within the workspace the oldest job; operators' priorities go
before both. The cost does not depend on how many jobs wait: each step reads one row by an index
(`docs/scheduling.md` has the plans).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import QuerySet
from django.db.models.functions import Coalesce, Now

from billing.entitlements import entitlements_of
from generation import transitions
from generation.models import Attempt, Flow, Job, JobEvent
from generation.scheduling import flows, pauses, tickets
from generation.scheduling.lanes import Lane, late_first
from generation.workers import somebody_else_serves
from mutoscope.clock import database_time


@dataclass(frozen=True, slots=True)
class Claimant:
    """Who claims: a worker's name, its place (host and GPU, the same after a restart), and what it runs on."""

    name: str
    place: str = ""
    gpu: str = ""
    precision: str = ""
    is_spot: bool = False


def claim(lanes: Sequence[Lane], by: Claimant, *, ticket: Lane | None = None) -> Job | None:
    """Take the next job of the lanes, as a new attempt with a lease; None when none may be taken.

    Workers that claim from one lane at once come one after the other, each for some milliseconds: each gets what
    is next after the one before, and none comes away empty while a job waits. A `ticket` (of one of the lanes)
    that was spent on another lane's job is put back.
    """
    for lane in in_turn(lanes):
        job = _claim_from(lane, by)
        if job is not None:
            if ticket not in (None, lane):
                tickets.issue(str(ticket))
            return job
    return None


def in_turn(lanes: Sequence[Lane]) -> list[Lane]:
    """The lanes that have work and are not paused, in the order in which they are to be looked at.

    That is the worker's order, except that lanes whose oldest job has waited past its tier's promise come first,
    the one that is latest in proportion to its promise before the others. So a higher lane keeps lower ones
    waiting only as many times longer as their promises are, and never for good.
    """
    open_lanes = pauses.not_paused(lanes)
    if len(open_lanes) < 2:
        return open_lanes
    lateness = _lateness(open_lanes)
    return late_first([lane for lane in open_lanes if lane in lateness], lateness)


def _lateness(lanes: Iterable[Lane]) -> dict[Lane, float]:
    """How long each lane's oldest job has waited, as a share of its promise; lanes without work are left out."""
    now = database_time()
    found: dict[Lane, float] = {}
    for lane in lanes:
        oldest = _eligible(lane).order_by("oldest_at").values_list("oldest_at", flat=True).first()
        if oldest is not None:
            found[lane] = (now - oldest) / settings.TIER_PROMISES[lane.tier]
    return found


def _eligible(lane: Lane) -> QuerySet[Flow]:
    return Flow.objects.filter(lane=str(lane), waiting__gt=0, throttled=False)


def _claim_from(lane: Lane, by: Claimant) -> Job | None:
    """Look through the lane's workspaces in their order until one has a job for us.

    Each is a transaction of its own, so that no claim ever holds two workspaces.
    """
    passed: list[int] = []
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            _lock(lane, cursor)
            cursor.execute(_TURN, {"lane": str(lane), "passed": passed})
            turn = cursor.fetchone()
            if turn is None:
                return None
            flow, workspace_id = turn
            job = _take(lane, workspace_id, by)
            if job is not None:
                return job
            passed.append(flow)


_TURN = """
SELECT id, workspace_id FROM generation_flow
WHERE lane = %(lane)s AND waiting > 0 AND NOT throttled AND id <> ALL(%(passed)s)
ORDER BY priority DESC, tag, id LIMIT 1
"""


def _lock(lane: Lane, cursor: CursorWrapper) -> None:
    """One claim at a time in a lane."""
    locked = "SELECT lane FROM generation_laneclock WHERE lane = %s FOR UPDATE"
    cursor.execute(locked, [str(lane)])
    if cursor.fetchone() is None:
        flows.open_lanes([str(lane)])
        cursor.execute(locked, [str(lane)])


def _take(lane: Lane, workspace_id: UUID, by: Claimant) -> Job | None:
    """The workspace's next job in the lane, if it may run one more and has one that this worker should take."""
    flows.lock(workspace_id)
    plan = entitlements_of(workspace_id)
    in_hand = flows.in_hand(workspace_id)
    if in_hand >= plan.concurrent_jobs:
        flows.throttle(workspace_id, plan)
        return None
    waiting = Job.objects.filter(lane=str(lane), workspace_id=workspace_id, state=Job.State.QUEUED)
    free = waiting.order_by("-priority", "id").select_for_update(skip_locked=True, of=("self",))
    job = free.select_related("picture", "last_picture").first()
    if job is None and not waiting.exists():
        flows.recount(workspace_id)
    if job is not None and by.place and job.avoid == by.place and somebody_else_serves(lane, by.place):
        job = free.select_related("picture", "last_picture").exclude(avoid=by.place).first()
    if job is not None:
        _start(job, by)
        flows.serve(job, plan, is_full=in_hand + 1 >= plan.concurrent_jobs)
    return job


def _start(job: Job, by: Claimant) -> None:
    """The job runs from now on, as attempt number `job.attempt`; its times are in the database alone."""
    transitions.move(
        job.pk,
        JobEvent.Kind.STARTED,
        come_from={Job.State.QUEUED},
        to=Job.State.RUNNING,
        attempt=job.attempt + 1,
        lease_expires_at=Now() + settings.JOB_LEASE,
        started_at=Coalesce("started_at", Now()),
    )
    job.state, job.attempt = Job.State.RUNNING, job.attempt + 1
    Attempt.objects.create(
        job=job,
        number=job.attempt,
        worker=by.name,
        gpu=by.gpu,
        is_spot=by.is_spot,
        precision=by.precision,
        size=job.size,
        frames=job.frames,
        memory_plan=job.memory_plan,
        first_step=job.checkpoint_step,
        claimed_at=Now(),
    )
