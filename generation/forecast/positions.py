"""How many jobs are taken before one that waits, or would: the claim's own order, counted and not walked through.

In a lane the claim goes by priority, then by each workspace's start tag (`scheduling.flows`). So before a job come
the jobs before it in its own flow, and of every other flow those whose start tags are smaller than its own. A
flow's tags are an arithmetic series, for it is charged its mean work each time: how many lie below a tag is a
division, and the whole is one statement over the lane's flows, however many jobs wait in them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection

from billing.entitlements import Entitlements
from generation.models import Job

NO_FLOW = 2**63 - 1
"""The id of a flow that is yet to be made: after all that there are."""

_WAITING = """
WITH line AS MATERIALIZED (
    SELECT job.id, job.priority, flow.id AS flow_id, flow.lane, flow.tag, flow.throttled,
        count(*) OVER before AS jobs,
        coalesce(sum(greatest(1, job.work_ms / flow.weight)) OVER before, 0)::bigint AS charged,
        coalesce(sum(job.work_ms) OVER before, 0)::bigint AS work_ms
    FROM generation_flow flow
    JOIN generation_job job
        ON job.lane = flow.lane AND job.workspace_id = flow.workspace_id AND job.state = 'queued'
    WHERE (flow.lane, flow.workspace_id) IN (
        SELECT lane, workspace_id FROM generation_job WHERE id = ANY(%(jobs)s) AND state = 'queued'
    )
    WINDOW before AS (
        PARTITION BY flow.id ORDER BY job.priority DESC, job.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
), asked AS (
    SELECT *, tag + charged AS start FROM line WHERE id = ANY(%(jobs)s)
)
"""

_NEWCOMER = """
WITH own AS (
    -- As `scheduling.flows.join` would have it: a flow that was idle comes in at the lane's clock.
    SELECT coalesce(flow.id, %(no_flow)s) AS flow_id, asked.lane, CASE
        WHEN flow.waiting > 0 THEN flow.tag
        ELSE greatest(coalesce(flow.tag, 0), coalesce(clock.virtual_time, 0))
    END AS tag
    FROM (SELECT %(lane)s::varchar AS lane) AS asked
    LEFT JOIN generation_flow flow ON flow.lane = asked.lane AND flow.workspace_id = %(workspace)s
    LEFT JOIN generation_laneclock clock ON clock.lane = asked.lane
), before AS (
    SELECT count(*) AS jobs, coalesce(sum(greatest(1, work_ms / %(weight)s)), 0)::bigint AS charged,
        coalesce(sum(work_ms), 0)::bigint AS work_ms
    FROM generation_job
    WHERE lane = %(lane)s AND workspace_id = %(workspace)s AND state = 'queued' AND priority >= 0
), asked AS (
    SELECT %(job)s::uuid AS id, 0 AS priority, own.flow_id, own.lane, own.tag, before.jobs, before.work_ms,
        own.tag + before.charged AS start, (
            SELECT count(*) FROM generation_job
            WHERE workspace_id = %(workspace)s AND state IN ('running', 'finishing')
        ) >= %(limit)s AS throttled
    FROM own CROSS JOIN before
)
"""

_AHEAD = """
SELECT asked.id, asked.flow_id, asked.jobs, asked.jobs + others.jobs, asked.work_ms + others.work_ms,
    asked.throttled, asked.tag
FROM asked
CROSS JOIN LATERAL (
    SELECT coalesce(sum(earlier.jobs), 0)::bigint AS jobs,
        coalesce(sum(earlier.jobs * earlier.mean_ms), 0)::bigint AS work_ms
    FROM (
        SELECT flow.waiting_ms / flow.waiting AS mean_ms, boosted.jobs + least(
            CASE WHEN asked.priority > 0 THEN level.jobs ELSE flow.waiting - boosted.jobs END,
            CASE
                WHEN asked.priority < 0 AND flow.priority > asked.priority THEN flow.waiting
                WHEN flow.id < asked.flow_id AND flow.tag + boosted.charged <= asked.start
                    THEN (asked.start - flow.tag - boosted.charged) / turn.charge + 1
                WHEN flow.tag + boosted.charged < asked.start
                    THEN (asked.start - flow.tag - boosted.charged - 1) / turn.charge + 1
                ELSE 0
            END
        ) AS jobs
        FROM generation_flow flow
        CROSS JOIN LATERAL (
            SELECT greatest(1, flow.waiting_ms / flow.waiting / flow.weight) AS charge
        ) AS turn
        -- Operators boost few jobs, so they may be counted one by one.
        CROSS JOIN LATERAL (
            SELECT count(*) AS jobs,
                coalesce(sum(greatest(1, job.work_ms / flow.weight)), 0)::bigint AS charged
            FROM generation_job job
            WHERE asked.priority >= 0 AND flow.priority > asked.priority
                AND job.lane = flow.lane AND job.workspace_id = flow.workspace_id AND job.state = 'queued'
                AND job.priority > asked.priority
        ) AS boosted
        CROSS JOIN LATERAL (
            SELECT count(*) AS jobs
            FROM generation_job job
            WHERE asked.priority > 0
                AND job.lane = flow.lane AND job.workspace_id = flow.workspace_id AND job.state = 'queued'
                AND job.priority = asked.priority
        ) AS level
        WHERE flow.lane = asked.lane AND flow.id <> asked.flow_id AND flow.waiting > 0 AND NOT flow.throttled
            AND flow.priority >= asked.priority
            AND (flow.priority > asked.priority OR flow.tag <= asked.start)
    ) AS earlier
) AS others
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a queued job stands in its lane."""

    flow_id: int
    before: int
    """Jobs of its own workspace that are taken before it."""
    ahead: int
    """Jobs of all workspaces that are taken before it, were its lane's throttled ones to stay so."""
    work_ms: int
    """The work in them."""
    throttled: bool
    """Its workspace runs as many jobs as its plan lets it."""
    tag: int
    """The start tag of its flow."""


def places(job_ids: Collection[UUID]) -> dict[UUID, Place]:
    """Where the jobs stand; those that are not queued have no place. One query.

    Exact where the waiting jobs of each workspace are equally long; else as exact as their mean.
    """
    if not job_ids:
        return {}
    return _found(_WAITING + _AHEAD, {"jobs": list(job_ids)})


def place_of_newcomer(job: Job, plan: Entitlements) -> Place:
    """Where a job that is not there yet would stand, were it to join its lane now. One query.

    `flow_id` is `NO_FLOW` where its workspace has never had a job in the lane.
    """
    asked = {
        "job": job.pk,
        "lane": job.lane,
        "workspace": job.workspace_id,
        "weight": plan.weight,
        "limit": plan.concurrent_jobs,
        "no_flow": NO_FLOW,
    }
    return _found(_NEWCOMER + _AHEAD, asked)[job.pk]


def _found(statement: str, asked: dict[str, Any]) -> dict[UUID, Place]:
    with connection.cursor() as cursor:
        cursor.execute(statement, asked)
        return {row[0]: Place(*row[1:]) for row in cursor.fetchall()}
