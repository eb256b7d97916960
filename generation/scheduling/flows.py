"""Who waits in which lane, and whose turn is next: the bookkeeping of fair queueing.

Start-time fair queueing, one flow a workspace in each lane (`generation.models.lanes`). Only this module writes
`Flow` and `LaneClock` rows, always with the workspace's row locked, so two changes of one workspace's flows come
one after the other. Locks are taken in one order everywhere: lane clock, job, workspace; the claim, which holds a
workspace when it looks for a job, skips jobs that are locked instead of waiting for them.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import F, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce, Greatest

from billing.models import Plan
from billing.selectors import plan_of
from generation.models import Flow, Job, LaneClock
from mutoscope.accounts.models import Workspace

_JOIN = """
INSERT INTO generation_flow AS flow
    (lane, workspace_id, tag, weight, waiting, waiting_ms, priority, oldest_at, throttled)
VALUES (
    %(lane)s, %(workspace)s,
    coalesce((SELECT virtual_time FROM generation_laneclock WHERE lane = %(lane)s), 0),
    %(weight)s, 1, %(work_ms)s, %(priority)s, %(queued_at)s, false
)
ON CONFLICT (lane, workspace_id) DO UPDATE SET
    tag = CASE WHEN flow.waiting > 0 THEN flow.tag - %(refund)s
               ELSE greatest(flow.tag - %(refund)s, excluded.tag) END,
    weight = excluded.weight,
    waiting = flow.waiting + 1,
    waiting_ms = flow.waiting_ms + excluded.waiting_ms,
    priority = CASE WHEN flow.waiting > 0 THEN greatest(flow.priority, excluded.priority)
                    ELSE excluded.priority END,
    oldest_at = CASE WHEN flow.waiting > 0 THEN least(flow.oldest_at, excluded.oldest_at)
                     ELSE excluded.oldest_at END
"""


def charge(work_ms: int, weight: int) -> int:
    """What a job costs its workspace's turn: milliseconds of virtual time."""
    return max(1, work_ms // weight)


def lock(workspace_id: UUID) -> None:
    """Hold the workspace's flows until the end of the transaction."""
    Workspace.objects.select_for_update(no_key=True).only("pk").get(pk=workspace_id)


def join(job: Job, *, returned: bool = False) -> None:
    """The job, just made `queued`, waits in its lane. One that was `returned` gets back what its turn had cost."""
    lock(job.workspace_id)
    plan = plan_of(job.workspace_id)
    with connection.cursor() as cursor:
        cursor.execute(
            _JOIN,
            {
                "lane": job.lane,
                "workspace": job.workspace_id,
                "weight": plan.weight,
                "work_ms": job.work_ms,
                "priority": job.priority,
                "queued_at": job.queued_at,
                "refund": charge(job.work_ms, plan.weight) if returned else 0,
            },
        )


def leave(job: Job) -> None:
    """The job, until now `queued`, has ended without having been claimed."""
    lock(job.workspace_id)
    _flow(job).update(waiting=F("waiting") - 1, waiting_ms=F("waiting_ms") - job.work_ms, **_next_in_flow())


def serve(job: Job, plan: Plan, *, is_full: bool) -> None:
    """The flow's next job has been claimed: its turn is charged, and the lane's clock moves on.

    `is_full` says that the workspace runs as many now as its plan lets it.
    """
    flow = _flow(job)
    start = flow.values_list("tag", flat=True).get()
    if job.priority <= 0:  # a boosted job was not at its turn, so it says nothing about the time
        LaneClock.objects.filter(lane=job.lane, virtual_time__lt=start).update(virtual_time=start)
    flow.update(
        waiting=F("waiting") - 1,
        waiting_ms=F("waiting_ms") - job.work_ms,
        weight=plan.weight,
        tag=start + charge(job.work_ms, plan.weight),
        **_next_in_flow(),
    )
    if is_full:
        Flow.objects.filter(workspace_id=job.workspace_id, throttled=False).update(throttled=True)


def _flow(job: Job) -> QuerySet[Flow]:
    return Flow.objects.filter(lane=job.lane, workspace_id=job.workspace_id)


def waiting_jobs(lane: str | OuterRef, workspace_id: UUID | OuterRef) -> QuerySet[Job]:
    """The flow's queued jobs in the order in which they are claimed."""
    queued = Job.objects.filter(lane=lane, workspace_id=workspace_id, state=Job.State.QUEUED)
    return queued.order_by("-priority", "id")


def look_ahead(flow: QuerySet[Flow]) -> None:
    """Note about each flow what the claim wants to know of the job that is next in it."""
    flow.update(**_next_in_flow())


def _next_in_flow() -> dict[str, Any]:
    following = waiting_jobs(OuterRef("lane"), OuterRef("workspace_id"))
    return {
        "priority": Coalesce(Subquery(following.values("priority")[:1]), 0),
        "oldest_at": Subquery(following.values("queued_at")[:1]),
    }


def throttle(workspace_id: UUID, plan: Plan | None = None) -> list[str]:
    """Hold the workspace's flows back, or let them go, by how many jobs it has running.

    Returns the lanes in which it may go on and has jobs waiting. It comes back as if from idleness.
    """
    lock(workspace_id)
    in_hand = Job.objects.filter(workspace_id=workspace_id, state__in=Job.HELD).count()
    flows = Flow.objects.filter(workspace_id=workspace_id)
    if in_hand >= (plan or plan_of(workspace_id)).concurrent_jobs:
        flows.filter(throttled=False).update(throttled=True)
        return []
    held_back = flows.filter(throttled=True)
    lanes = list(held_back.filter(waiting__gt=0).order_by("lane").values_list("lane", flat=True))
    clock = LaneClock.objects.filter(lane=OuterRef("lane")).values("virtual_time")
    held_back.update(throttled=False, tag=Greatest("tag", Coalesce(Subquery(clock), 0)))
    return lanes


def recount(workspace_id: UUID) -> None:
    """Count the workspace's flows anew from its jobs, for whoever changed jobs by other ways than ours."""
    lock(workspace_id)
    with connection.cursor() as cursor:
        cursor.execute(_RECOUNT, {"workspace": workspace_id})
    look_ahead(Flow.objects.filter(workspace_id=workspace_id))


_RECOUNT = """
UPDATE generation_flow AS flow SET waiting = found.jobs, waiting_ms = found.work_ms
FROM (
    SELECT flow.id, count(job.id) AS jobs, coalesce(sum(job.work_ms), 0) AS work_ms
    FROM generation_flow AS flow
    LEFT JOIN generation_job AS job
        ON job.lane = flow.lane AND job.workspace_id = flow.workspace_id AND job.state = 'queued'
    WHERE flow.workspace_id = %(workspace)s
    GROUP BY flow.id
) AS found
WHERE flow.id = found.id AND (flow.waiting, flow.waiting_ms) <> (found.jobs, found.work_ms)
"""
