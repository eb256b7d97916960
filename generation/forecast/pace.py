"""How long a step takes: measured on finished attempts, by the catalog's estimate before there are any."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from math import log, sqrt
from typing import Protocol

from django.db import connection

from generation import catalog
from generation.models import Pace

SAMPLES = 50
"""Attempts of one kind that a pace is taken from: the most recent ones."""
RECENT = "14 days"
LOOK_BACK = 10_000
"""Attempts that one measurement looks at, whatever their kind: it must stay cheap on a busy installation."""
ARRIVAL_HOURS = 4.0
"""What joins a lane is expected to be as much as on the average of this time: single rushes count little."""
FEW = 0.3
"""With one sample the range is at least ± 30 %; with n of them ± 30 % / √n."""
SCALED = 1.25
"""A pace that was carried over from another length or size may be wrong by this factor."""
OTHER_PRESET = 2.0
"""So may one of another preset: some presets leave out most of many steps, or do without guidance."""
GUESSED = 3.0
"""So may the catalog's estimate, or what was measured on another GPU."""

_MEASURE = """
INSERT INTO generation_pace
    (model, preset, size, frames, precision, gpu, samples, median, low, high, finish, finish_high, measured_at)
SELECT model, preset, size, frames, precision, gpu, count(*),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY step),
    percentile_cont(0.1) WITHIN GROUP (ORDER BY step),
    percentile_cont(0.9) WITHIN GROUP (ORDER BY step),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY finish),
    percentile_cont(0.9) WITHIN GROUP (ORDER BY finish),
    statement_timestamp()
FROM (
    SELECT model, preset, size, frames, precision, gpu, step, finish,
        row_number() OVER (
            PARTITION BY model, preset, size, frames, precision, gpu ORDER BY ended_at DESC) AS place
    FROM (
        SELECT job.model, job.preset, job.size, job.frames, attempt.precision, attempt.gpu, attempt.ended_at,
            extract(epoch FROM attempt.engine_ended_at - attempt.engine_started_at)::float8
                / coalesce(job.steps, job.frames) AS step,
            extract(epoch FROM attempt.ended_at - attempt.engine_ended_at)::float8 AS finish
        FROM generation_attempt attempt JOIN generation_job job ON job.id = attempt.job_id
        WHERE attempt.engine_ended_at IS NOT NULL AND attempt.steps > 0
            AND attempt.ended_at > statement_timestamp() - %s::interval
            -- Whole attempts alone: one that a checkpoint spared some steps has the same work around them.
            AND attempt.outcome = 'succeeded' AND attempt.first_step = 0
            AND attempt.engine_started_at IS NOT NULL
        ORDER BY attempt.ended_at DESC LIMIT %s
    ) AS recent
) AS placed
WHERE place <= %s AND step > 0
GROUP BY model, preset, size, frames, precision, gpu
ORDER BY model, preset, size, frames, precision, gpu  -- measurements that run at once lock in the same order
ON CONFLICT (model, preset, size, frames, precision, gpu) DO UPDATE SET
    samples = excluded.samples, median = excluded.median, low = excluded.low, high = excluded.high,
    finish = excluded.finish, finish_high = excluded.finish_high, measured_at = excluded.measured_at
"""


def measure() -> int:
    """Renew the table of paces from attempts that ended well of late. Returns the kinds of job it found.

    Safe to run twice at once, and when late: what it writes follows from the attempts alone. A kind that has not
    run for long keeps the pace it was last measured at.
    """
    with connection.cursor() as cursor:
        cursor.execute(_MEASURE, [RECENT, LOOK_BACK, SAMPLES])
        return int(cursor.rowcount)


_ARRIVALS = """
WITH free AS (
    -- The row is the lock of the lane's claims: one that is in use is left for the next time.
    SELECT lane FROM generation_laneclock ORDER BY lane FOR NO KEY UPDATE SKIP LOCKED
), found AS (
    SELECT lane, count(*) / %(hours)s AS jobs, sum(work_ms) / %(hours)s AS work_ms
    FROM (SELECT lane, work_ms, queued_at FROM generation_job ORDER BY id DESC LIMIT %(most)s) AS recent
    WHERE queued_at > statement_timestamp() - %(hours)s * interval '1 hour'
    GROUP BY lane
)
UPDATE generation_laneclock clock
SET hourly_jobs = coalesce(found.jobs, 0), hourly_ms = coalesce(found.work_ms, 0)
FROM free LEFT JOIN found ON found.lane = free.lane
WHERE clock.lane = free.lane
"""


def measure_arrivals() -> None:
    """Note how much work has joined each lane of late: what may come in before those who wait now.

    Safe to run twice at once, and when late.
    """
    with connection.cursor() as cursor:
        cursor.execute(_ARRIVALS, {"hours": ARRIVAL_HOURS, "most": LOOK_BACK})


class Shaped(Protocol):
    """What the pace depends on: a job, or whatever has its shape."""

    model: str
    preset: str
    size: str
    width: int
    height: int
    frames: int
    steps: int | None


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds: the likely ones, and a range that they lie in four times out of five."""

    likely: float
    low: float
    high: float

    def __add__(self, other: Span) -> Span:
        return Span(self.likely + other.likely, self.low + other.low, self.high + other.high)

    def __mul__(self, factor: float) -> Span:
        return Span(self.likely * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds per step, and seconds from the last frame to the published clip."""

    step: Span
    finish: Span
    measured: bool
    """Whether it was measured on this GPU, maybe on another length or size; otherwise it is a guess."""


def steps_of(job: Shaped) -> int:
    """Steps that the engine takes: denoising steps, or frames in models that do not denoise."""
    return job.steps or job.frames


def seconds_per_step(job: Shaped, gpu: str | None = None, precision: str | None = None) -> Speed:
    """How fast the job goes on a GPU (None: on whichever it has been measured). One query."""
    return Paces.of_models([job.model]).speed(job, gpu, precision)


def expected_ms(job: Shaped) -> int:
    """The engine's time for the job, in whole milliseconds: what its workspace's turn is charged. One query."""
    return max(1, round(Paces.of_models([job.model]).engine(job).likely * 1000))


class Paces:
    """The measured paces of some models, read once."""

    def __init__(self, rows: Iterable[Pace]) -> None:
        self._rows: defaultdict[str, list[Pace]] = defaultdict(list)
        for row in rows:
            self._rows[row.model].append(row)

    @classmethod
    def of_models(cls, models: Collection[str]) -> Paces:
        """Read them: one query."""
        return cls(Pace.objects.filter(model__in=models))

    def engine(self, job: Shaped, gpu: str | None = None, precision: str | None = None) -> Span:
        """The engine's time for all of the job's steps."""
        return self.speed(job, gpu, precision).step * steps_of(job)

    def speed(self, job: Shaped, gpu: str | None = None, precision: str | None = None) -> Speed:
        """The nearest that was measured: this preset, size and length, else another length, another size, another
        preset; then on other GPUs.

        Where nothing was measured it is the catalog's estimate.
        """
        rows = self._rows.get(job.model, [])
        here = [row for row in rows if gpu in (None, row.gpu) and precision in (None, row.precision)]
        found = _nearest(job, here)
        if found:
            return found
        elsewhere = _nearest(job, rows)
        if elsewhere:
            return Speed(_widened(elsewhere.step, GUESSED), elsewhere.finish, measured=False)
        model = catalog.models().get(job.model)
        likely = model.speed.seconds_per_step if model else 0.0
        return Speed(_widened(Span(likely, likely, likely), GUESSED), Span(0, 0, 0), measured=False)


def _nearest(job: Shaped, rows: Iterable[Pace]) -> Speed | None:
    """What the rows nearest to the job's shape say, carried over to it; None where no row can be."""
    ranked: defaultdict[tuple[bool, bool, float], list[tuple[Pace, float]]] = defaultdict(list)
    for row in rows:
        scale = _scale(job, row)
        if scale:
            frames = abs(log(row.frames / job.frames))
            kind = row.preset != job.preset, row.size != job.size, abs(log(scale)) + frames
            ranked[kind].append((row, scale))
    if not ranked:
        return None
    distance = min(ranked)
    near = ranked[distance]
    samples = sum(row.samples for row, _ in near)
    slack = FEW / sqrt(samples)
    median = sum(row.median * scale * row.samples for row, scale in near) / samples
    step = Span(
        median,
        min(median * (1 - slack), *(row.low * scale for row, scale in near)),
        max(median * (1 + slack), *(row.high * scale for row, scale in near)),
    )
    finish = sum(row.finish * row.samples for row, _ in near) / samples
    return Speed(
        _widened(step, _doubt(*distance)),
        Span(finish, finish / 2, max(row.finish_high for row, _ in near)),
        measured=True,
    )


def _doubt(other_preset: bool, other_size: bool, distance: float) -> float:
    """By which factor a pace from so far away may be wrong, beyond how much it varies."""
    scaled = SCALED if other_size or distance else 1.0
    return scaled * (OTHER_PRESET if other_preset else 1.0)


def _scale(job: Shaped, row: Pace) -> float:
    """By how much a step of the job is longer than one of the row's: 0 where that cannot be told.

    A denoising step works on all frames at once; in other models a step is one frame, however many there are.
    """
    scale = 1.0 if job.steps is None else job.frames / row.frames
    if row.size == job.size:
        return scale
    model = catalog.models().get(job.model)
    size = model.size(row.size) if model else None
    return scale * job.width * job.height / (size.width * size.height) if size else 0.0


def _widened(span: Span, factor: float) -> Span:
    return Span(span.likely, span.low / factor, span.high * factor)
