"""Usage as a CSV file: a line for each job that ended in the period, the newest first."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterator
from uuid import UUID

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse

from billing import ledger
from generation.models import Job
from generation.usage import Period, ended
from mutoscope.accounts.models import Workspace

COLUMNS = (
    "id", "created_at", "ended_at", "model", "tier", "size", "seconds", "finished_seconds", "preset", "state",
    "credits_price", "credits_charged",
)  # fmt: skip
_NEEDED = (
    "created_at", "ended_at", "model", "tier", "size", "seconds", "preset", "state", "credits",
)  # fmt: skip
"""Of a job: its prompts and recipe would be most of what is read."""
CHUNK = 1000
"""Lines that are fetched and sent at a time."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take a text for a formula."""


def download(workspace: Workspace, period: Period) -> StreamingHttpResponse:
    """The file, sent while it is made, however long it is."""
    chunks = _chunks(workspace, period)

    async def sent() -> AsyncIterator[str]:
        while (chunk := await sync_to_async(lambda: next(chunks, None))()) is not None:
            yield chunk

    name = f"mutoscope-usage-{period.first}-{period.last}.csv"
    return StreamingHttpResponse(
        sent(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


def _chunks(workspace: Workspace, period: Period) -> Iterator[str]:
    yield _written([COLUMNS])
    before: UUID | None = None
    while jobs := _next(workspace, period, before):
        charged = ledger.captured(job.pk for job in jobs)
        yield _written(_line(job, charged.get(job.pk, 0)) for job in jobs)
        before = jobs[-1].pk


def _next(workspace: Workspace, period: Period, before: UUID | None) -> list[Job]:
    """By the id and not with a cursor: a slow reader keeps no transaction open."""
    jobs = ended(workspace, period).order_by("-id").only(*_NEEDED)
    if before:
        jobs = jobs.filter(pk__lt=before)
    return list(jobs[:CHUNK])


def _line(job: Job, charged: int) -> list[object]:
    is_clip = job.state == Job.State.SUCCEEDED
    return [
        job.pk, job.created_at.isoformat(), job.ended_at and job.ended_at.isoformat(), _plain(job.model),
        _plain(job.tier), _plain(job.size), f"{job.seconds:g}", f"{job.seconds if is_clip else 0:g}",
        _plain(job.preset), job.state, job.credits, charged,
    ]  # fmt: skip


def _plain(text: str) -> str:
    """A text that no spreadsheet takes for a formula: an apostrophe before what it would."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _written(lines: object) -> str:
    page = io.StringIO()
    csv.writer(page).writerows(lines)  # type: ignore[arg-type]
    return page.getvalue()
