"""How much video an hour of a GPU makes: measured here as soon as there is enough to go by, estimated before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import connection

from billing.price_book import PriceBook
from generation import catalog
from generation.costs.estimates import HD_PIXELS, Throughput, estimates

ENOUGH = 20
"""Finished attempts of a model on a kind of GPU from which on the measured figure stands in for the estimate."""
RECENT_DAYS = 30
"""Only attempts that ended so lately count: weights, drivers and settings change."""

# The index `attempt_pace` finds the attempts by when they ended.
MEASURED = """
SELECT job.model, attempt.gpu, count(*),
    sum(job.frames::float8 / job.fps * job.width * job.height) / %(hd_pixels)s,
    sum(extract(epoch FROM attempt.engine_ended_at - attempt.engine_started_at))::float8
FROM generation_attempt attempt JOIN generation_job job ON job.id = attempt.job_id
WHERE attempt.engine_ended_at > attempt.engine_started_at AND attempt.steps > 0 AND attempt.gpu <> ''
    AND attempt.ended_at > statement_timestamp() - %(days)s * interval '1 day'
    -- Whole attempts alone: one that a checkpoint spared some steps made the clip only in part.
    AND attempt.outcome = 'succeeded' AND attempt.first_step = 0
GROUP BY job.model, attempt.gpu
"""


@dataclass(slots=True)
class _Sum:
    attempts: int = 0
    video_seconds: float = 0.0
    gpu_seconds: float = 0.0


class Throughputs:
    """What was measured of late on every kind of GPU, read once: for many look-ups."""

    def __init__(self, book: PriceBook, rows: Iterable[tuple[str, str, int, float, float]]) -> None:
        self._sums: defaultdict[tuple[str, str], _Sum] = defaultdict(_Sum)
        for model, device, attempts, video_seconds, gpu_seconds in rows:
            gpu = book.gpu_called(device)
            if gpu is not None:
                total = self._sums[model, gpu.name]
                total.attempts += attempts
                total.video_seconds += video_seconds
                total.gpu_seconds += gpu_seconds

    @classmethod
    def read(cls, book: PriceBook | None = None) -> Throughputs:
        """One query, and two more for the price book where it is not given."""
        with connection.cursor() as cursor:
            cursor.execute(MEASURED, {"hd_pixels": HD_PIXELS, "days": RECENT_DAYS})
            return cls(book or PriceBook.read(), cursor.fetchall())

    def of(self, model: str, gpu: str) -> Throughput | None:
        """Of a model (its slug) on a GPU (its name in the price book).

        Measured here, with whatever presets and lengths were asked for, if there are `ENOUGH` attempts; else
        what was published; else what follows from the catalog. None where none of them knows, as for models
        that need no GPU.
        """
        total = self._sums.get((model, gpu), _Sum())
        if total.attempts >= ENOUGH:
            hourly = 3600 * total.video_seconds / total.gpu_seconds
            source = f"measured here on {total.attempts:,} attempts in the last {RECENT_DAYS} days"
            return Throughput(model, gpu, hourly, hourly, hourly, True, total.attempts, source)
        published = estimates().published(model, gpu)
        known = catalog.models().get(model)
        return published or (estimates().of_catalog(known, gpu) if known else None)


def throughput(model: str, gpu: str) -> Throughput | None:
    """One look-up: see `Throughputs.of`."""
    return Throughputs.read().of(model, gpu)
