"""Whether the books agree with the jobs: rules of the ledger that need to know what became of each job."""

from __future__ import annotations

from collections.abc import Iterator

from billing import audit
from billing.audit import JOBS_BOOKS, Check

_ENDED = "('succeeded', 'failed', 'cancelled')"
_BY_OPERATOR = "'cancelled_by_operator'"
"""What `control.cancel` leaves as a job's error."""
_PART_THAT_RAN = "floor(round((job.credits * job.progress)::numeric, 6))"
"""`settlement.charge` of a job that its user cancelled while it ran."""

CHECKS = (
    Check(
        "A hold is closed when its job has ended, and not before.",
        "job {} of workspace {} is {}, but its hold of {} credits is {}",
        f"""
        SELECT job.id, job.workspace_id, job.state, books.held,
            CASE WHEN books.is_closed THEN 'closed' ELSE 'open' END
        FROM generation_job AS job JOIN ({JOBS_BOOKS}) AS books ON books.job_id = job.id
        WHERE books.held > 0 AND books.is_closed <> (job.state IN {_ENDED})
        """,
    ),
    Check(
        "No hold is left open by a job that is gone.",
        "workspace {} has {} credits held for job {}, which is gone",
        f"""
        SELECT books.workspace_id, books.held, books.job_id FROM ({JOBS_BOOKS}) AS books
        WHERE NOT books.is_closed
            AND NOT EXISTS (SELECT FROM generation_job AS job WHERE job.id = books.job_id)
        """,
    ),
    Check(
        "What is held is the price at which the job was accepted.",
        "job {} of workspace {} has a price of {} credits, but {} were held for it",
        f"""
        SELECT job.id, job.workspace_id, job.credits, coalesce(books.held, 0)
        FROM generation_job AS job LEFT JOIN ({JOBS_BOOKS}) AS books ON books.job_id = job.id
        WHERE job.credits <> coalesce(books.held, 0)
        """,
    ),
    Check(
        "A success costs its price, a failure nothing.",
        "job {} of workspace {} has {} at a price of {} credits, but {} were paid",
        f"""
        SELECT job.id, job.workspace_id, job.state, job.credits, books.captured
        FROM generation_job AS job JOIN ({JOBS_BOOKS}) AS books ON books.job_id = job.id
        WHERE books.is_closed AND (
            job.state = 'succeeded' AND books.captured <> job.credits
            OR job.state = 'failed' AND books.captured <> 0)
        """,
    ),
    Check(
        "A cancelled job costs the part that ran where its user cancelled it, and else nothing.",
        "job {} of workspace {} was cancelled after {:.3f} of its steps, at a price of {} credits: "
        "{} should be paid, but {} were",
        f"""
        SELECT * FROM (
            SELECT job.id, job.workspace_id, job.progress, job.credits,
                CASE WHEN job.error_code <> {_BY_OPERATOR} AND (
                    SELECT event.kind FROM generation_jobevent AS event
                    WHERE event.job_id = job.id AND event.kind <> 'cancelled' ORDER BY event.id DESC LIMIT 1
                ) IN ('started', 'finishing') THEN {_PART_THAT_RAN} ELSE 0 END AS due,
                books.captured
            FROM generation_job AS job JOIN ({JOBS_BOOKS}) AS books ON books.job_id = job.id
            WHERE job.state = 'cancelled' AND books.is_closed
        ) AS found WHERE captured <> due
        """,
    ),
)
"""The rules that hold between ledger and jobs."""

EVERY_CHECK = (*audit.CHECKS, *CHECKS)


def problems() -> Iterator[str]:
    """A sentence for each breach of any rule of the books."""
    return audit.problems(EVERY_CHECK)
