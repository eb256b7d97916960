"""GPU-seconds of attempts, those that led to a clip and those that were lost: the rule, as one piece of SQL.

An attempt takes a GPU from when its engine began until the engine let go of it; where that was not written down
(a worker that died, a job that was cancelled) until the attempt was closed; and until now while it is under way.
What comes before and after, on the CPU, is not counted, and neither is an attempt without a GPU.

Work is lost when its steps led to no clip:
- all of it where the job failed or was cancelled;
- nothing of the attempt that made the clip, and nothing yet where the job has not ended;
- else, of an attempt before the one that made the clip, all but the steps that every later attempt was spared:
  those from its own first step up to the lowest `first_step` after it. Its seconds are spread evenly over its
  steps; where those were not written down, a step is taken to last as long as in the attempt that made the clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

_TRIED = """
WITH tried AS (
    SELECT attempt.job_id, attempt.number, attempt.number = job.attempt AS is_last, attempt.outcome,
        attempt.worker, attempt.gpu, attempt.is_spot, attempt.claimed_at,
        (attempt.claimed_at AT TIME ZONE 'UTC')::date AS day, job.model, job.tier, spent.seconds,
        CASE WHEN attempt.outcome = 'succeeded' OR job.state NOT IN ('succeeded', 'failed', 'cancelled') THEN 0
            WHEN job.state <> 'succeeded' THEN spent.seconds
            ELSE greatest(0, spent.seconds
                - kept.steps * coalesce(spent.seconds / nullif(attempt.steps, 0), kept.seconds_per_step, 0))
        END AS lost_seconds,
        CASE WHEN attempt.outcome = 'succeeded' THEN job.frames::numeric / job.fps ELSE 0 END AS video_seconds
    FROM generation_attempt attempt
    JOIN generation_job job ON job.id = attempt.job_id
    CROSS JOIN LATERAL (
        SELECT CASE WHEN attempt.gpu = '' THEN 0 ELSE greatest(0, coalesce(extract(epoch FROM
            coalesce(attempt.engine_ended_at, attempt.ended_at, statement_timestamp())
            - attempt.engine_started_at), 0)) END AS seconds
    ) AS spent
    LEFT JOIN LATERAL (
        SELECT greatest(0, min(later.first_step) - attempt.first_step) AS steps,
            max(extract(epoch FROM later.engine_ended_at - later.engine_started_at) / nullif(later.steps, 0))
                FILTER (WHERE later.outcome = 'succeeded') AS seconds_per_step
        FROM generation_attempt later
        WHERE job.state = 'succeeded' AND attempt.outcome <> 'succeeded'  -- the others need not be looked up
            AND later.job_id = attempt.job_id AND later.number > attempt.number
    ) AS kept ON true
)
"""

OF_JOB = f"""
{_TRIED}
SELECT number, outcome, worker, gpu, is_spot, day, seconds, lost_seconds FROM tried
WHERE job_id = %(job)s ORDER BY number
"""

# What a job paid is counted where its last attempt is. There is one capture of a job, and one transfer in it.
BY_KIND = f"""
{_TRIED}
SELECT day, model, tier, gpu, is_spot,
    count(*), count(*) FILTER (WHERE seconds > 0), count(*) FILTER (WHERE is_last),
    sum(seconds), sum(lost_seconds), sum(video_seconds), coalesce(sum(transfer.amount), 0)::bigint
FROM tried
LEFT JOIN billing_entry entry ON entry.job_id = tried.job_id AND entry.kind = 'capture' AND tried.is_last
LEFT JOIN billing_transfer transfer ON transfer.entry_id = entry.id
WHERE tried.claimed_at >= %(since)s::date::timestamp AT TIME ZONE 'UTC'
    AND tried.claimed_at < (%(until)s::date + 1)::timestamp AT TIME ZONE 'UTC'
GROUP BY day, model, tier, gpu, is_spot ORDER BY day, model, tier, gpu, is_spot
"""


@dataclass(frozen=True, slots=True)
class Tried:
    """What one attempt took."""

    number: int
    outcome: str
    worker: str
    gpu: str
    """The driver's name; empty is none."""
    is_spot: bool
    day: date
    """In UTC, when it was claimed: its price is that day's."""
    seconds: Decimal
    """Of the GPU, to the microsecond."""
    lost_seconds: Decimal
    """Those of them whose steps led to no clip."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What all attempts of a day took that are alike in what they were for and what they ran on."""

    day: date
    model: str
    tier: str
    gpu: str
    is_spot: bool
    attempts: int
    attempts_on_gpu: int
    """Those that took any of a GPU's time."""
    jobs: int
    """Jobs whose last attempt is among them, so that each is counted once."""
    seconds: Decimal
    lost_seconds: Decimal
    video_seconds: Decimal
    """Of the finished clips."""
    credits: int
    """That those jobs have paid."""


def of_job(job_id: UUID) -> list[Tried]:
    """The job's attempts in their order. One query."""
    return [Tried(*row) for row in _rows(OF_JOB, {"job": job_id})]


def by_kind(since: date, until: date) -> list[Kind]:
    """The attempts claimed from the first day to the last, in UTC, summed up. One query."""
    return [Kind(*row) for row in _rows(BY_KIND, {"since": since, "until": until})]


def _rows(statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())
