"""How many jobs are taken before one that waits: the claim's own order, counted and not walked through.

In a lane the claim goes by priority, then by each workspace's start tag (`scheduling.flows`). So before a job come
the jobs before it in its own flow, and of every other flow those whose start tags are smaller than its own. A
flow's tags are an arithmetic series, for it is charged its mean work each time: how many lie below a tag is a
division, and the whole is one statement over the lane's flows, however many jobs wait in them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

_PLACES = """
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
SELECT asked.id, asked.flow_id, asked.jobs, asked.jobs + others.jobs, asked.work_ms + others.work_ms,
    asked.throttled
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


def places(job_ids: Collection[UUID]) -> dict[UUID, Place]:
    """Where the jobs stand; those that are not queued have no place. One query.

    Exact where the waiting jobs of each workspace are equally long; else as exact as their mean.
    """
    if not job_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_PLACES, {"jobs": list(job_ids)})
        return {row[0]: Place(*row[1:]) for row in cursor.fetchall()}
