"""Who waits in which lane, and whose turn is next: the bookkeeping of fair queueing.

Start-time fair queueing, one flow a workspace in each lane (`generation.models.lanes`). Only this module writes
`Flow` and `LaneClock` rows, always with the workspace's row locked, so two changes of one workspace's flows come
one after the other. Locks are taken in one order everywhere: lane clock, job, workspace; the claim, which holds a
workspace when it looks for a job, skips jobs that are locked instead of waiting for them.

In SQL, for every submission, claim and end passes through here: through Django's query builder each statement
would take five times as long as in PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db import connection

from billing.entitlements import Entitlements
from generation.models import Job, LaneClock

_NEXT = """
    priority = coalesce((
        SELECT next.priority FROM generation_job AS next
        WHERE next.lane = flow.lane AND next.workspace_id = flow.workspace_id AND next.state = 'queued'
        ORDER BY next.priority DESC, next.id LIMIT 1), 0),
    oldest_at = (
        SELECT next.queued_at FROM generation_job AS next
        WHERE next.lane = flow.lane AND next.workspace_id = flow.workspace_id AND next.state = 'queued'
        ORDER BY next.priority DESC, next.id LIMIT 1)
"""
"""What a flow notes of the job that is next in it."""


def charge(work_ms: int, weight: int) -> int:
    """What a job costs its workspace's turn: milliseconds of virtual time."""
    return max(1, work_ms // weight)


def open_lanes(lanes: Collection[str]) -> None:
    """Give the lanes their clocks, where they have none yet: somebody stands ready to serve them."""
    LaneClock.objects.bulk_create([LaneClock(lane=lane) for lane in sorted(lanes)], ignore_conflicts=True)


def lock(workspace_id: UUID) -> None:
    """Hold the workspace's flows until the end of the transaction."""
    _run("SELECT id FROM accounts_workspace WHERE id = %s FOR NO KEY UPDATE", [workspace_id])


def join(job: Job, plan: Entitlements, *, returned: bool = False) -> None:
    """The job, just made `queued`, waits in its lane. One that was `returned` gets back what its turn had cost."""
    lock(job.workspace_id)
    _run(
        """
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
        """,
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
    _run(
        f"""
        UPDATE generation_flow AS flow SET waiting = waiting - 1, waiting_ms = waiting_ms - %s, {_NEXT}
        WHERE lane = %s AND workspace_id = %s
        """,
        [job.work_ms, job.lane, job.workspace_id],
    )


def serve(job: Job, plan: Entitlements, *, is_full: bool) -> None:
    """The flow's next job has been claimed: its turn is charged, and the lane's clock moves on.

    `is_full` says that the workspace runs as many now as its plan lets it.
    """
    # A boosted job was not at its turn, so it says nothing about the time.
    _run(
        """
        UPDATE generation_laneclock AS clock SET virtual_time = flow.tag FROM generation_flow AS flow
        WHERE clock.lane = %s AND flow.lane = clock.lane AND flow.workspace_id = %s
            AND clock.virtual_time < flow.tag AND %s <= 0
        """,
        [job.lane, job.workspace_id, job.priority],
    )
    _run(
        f"""
        UPDATE generation_flow AS flow SET
            waiting = waiting - 1, waiting_ms = waiting_ms - %s, weight = %s, tag = tag + %s, {_NEXT}
        WHERE lane = %s AND workspace_id = %s
        """,
        [job.work_ms, plan.weight, charge(job.work_ms, plan.weight), job.lane, job.workspace_id],
    )
    if is_full:
        _hold_back(job.workspace_id)


def look_ahead(lane: str, workspace_id: UUID) -> None:
    """The priority of a job that waits has changed."""
    lock(workspace_id)
    _run(f"UPDATE generation_flow AS flow SET {_NEXT} WHERE lane = %s AND workspace_id = %s", [lane, workspace_id])


def in_hand(workspace_id: UUID) -> int:
    """How many jobs of the workspace run."""
    ((jobs,),) = _run(
        "SELECT count(*) FROM generation_job WHERE workspace_id = %s AND state IN ('running', 'finishing')",
        [workspace_id],
    )
    return int(jobs)


def throttle(workspace_id: UUID, plan: Entitlements) -> list[str]:
    """Hold the workspace's flows back, or let them go, by how many jobs it has running.

    Returns the lanes in which it may go on and has jobs waiting. It comes back as if from idleness.
    """
    lock(workspace_id)
    if in_hand(workspace_id) >= plan.concurrent_jobs:
        _hold_back(workspace_id)
        return []
    released = _run(
        """
        UPDATE generation_flow AS flow SET throttled = false, tag = greatest(
            tag, coalesce((SELECT virtual_time FROM generation_laneclock WHERE lane = flow.lane), 0))
        WHERE workspace_id = %s AND throttled RETURNING lane, waiting
        """,
        [workspace_id],
    )
    return sorted(lane for lane, waiting in released if waiting)


def _hold_back(workspace_id: UUID) -> None:
    _run("UPDATE generation_flow SET throttled = true WHERE workspace_id = %s AND NOT throttled", [workspace_id])


def recount(workspace_id: UUID) -> None:
    """Count the workspace's flows anew from its jobs, for whoever changed jobs by other ways than ours."""
    lock(workspace_id)
    _run(
        f"""
        UPDATE generation_flow AS flow SET waiting = found.jobs, waiting_ms = found.work_ms, {_NEXT}
        FROM (
            SELECT flow.id, count(job.id) AS jobs, coalesce(sum(job.work_ms), 0) AS work_ms
            FROM generation_flow AS flow
            LEFT JOIN generation_job AS job
                ON job.lane = flow.lane AND job.workspace_id = flow.workspace_id AND job.state = 'queued'
            WHERE flow.workspace_id = %s
            GROUP BY flow.id
        ) AS found
        WHERE flow.id = found.id
        """,
        [workspace_id],
    )


def _run(statement: str, parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []
