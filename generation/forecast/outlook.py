"""When a job will start and end, and what it waits for: what the API, the pages and the streams tell.

The place in the line is counted in the claim's own order (`positions`). The times come from a
rehearsal of the claims to come (`rehearsal`) at the measured pace (`pace`), in a handful of
queries for however many jobs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from statistics import fmean
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import F, Sum

from billing.entitlements import Entitlements
from generation import catalog
from generation.forecast.pace import Paces, Span
from generation.forecast.positions import Place, place_of_newcomer, places
from generation.forecast.rehearsal import Crew, EvenArrivals, Line, Play, Rehearsal
from generation.models import Attempt, Flow, Job, LaneClock, Pause, Worker
from generation.workers import alive_workers
from mutoscope.clock import database_time

CLAIMS = 250
"""Claims that a rehearsal goes through at most; who comes later is reckoned from how fast those went."""
QUICK, SLOW = 0.5, 1.6
"""Four of five jobs that wait start within these shares of the likely time: measured by `bench.eta`."""

HOUR = 3600.0
RUSH = 0.6
"""What joins the lanes is taken to keep at most this share of a lane's workers busy: more does not last."""

State = Job.State


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is to be expected of a job that has not ended, as seen at one moment (the database's clock)."""

    at: datetime
    position: int | None = None
    """1 is next; None when it does not wait in its lane."""
    throttled: bool = False
    """Its workspace runs as many jobs as its plan lets it, `limit`: it goes on when one of them ends."""
    limit: int | None = None
    pause: Pause | None = None
    no_worker: bool = False
    """No worker that is alive serves its lane."""
    starts_in: Span | None = None
    """Seconds until a worker begins; None when it has begun, or when nobody can tell."""
    ends_in: Span | None = None

    @property
    def starts_at(self) -> datetime | None:
        """The likely moment at which a worker begins."""
        return self._moment(self.starts_in.likely) if self.starts_in else None

    @property
    def ends_at(self) -> datetime | None:
        """The likely moment at which the clip is there."""
        return self._moment(self.ends_in.likely) if self.ends_in else None

    @property
    def earliest(self) -> datetime | None:
        """The end's range, which holds in about four cases of five, begins here."""
        return self._moment(self.ends_in.low) if self.ends_in else None

    @property
    def latest(self) -> datetime | None:
        """The end's range ends here."""
        return self._moment(self.ends_in.high) if self.ends_in else None

    def _moment(self, seconds: float) -> datetime:
        return (self.at + timedelta(seconds=seconds)).replace(microsecond=0)


def outlook(job: Job) -> Outlook | None:
    """What is to be expected of the job; None when it has ended."""
    return outlooks([job]).get(job.pk)


def outlooks(jobs: Iterable[Job]) -> dict[UUID, Outlook]:
    """The same for many jobs, in as few queries as for one; jobs that have ended are left out."""
    active = [job for job in jobs if job.state in Job.ACTIVE]
    if not active:
        return {}
    now = database_time()
    found = {job.pk: Outlook(now) for job in active if job.state == State.SCHEDULED}
    rest = [job for job in active if job.state != State.SCHEDULED]
    if rest:
        hands = _Hands(now, Paces.of_models({job.model for job in rest}))
        found |= {job.pk: Outlook(now, ends_in=hands.end_of(job)) for job in rest if job.state in Job.HELD}
        waiting = [job for job in rest if job.state == State.QUEUED]
        found |= _of_queued(waiting, places([job.pk for job in waiting]), hands)
    return found


def outlook_of_newcomer(job: Job, plan: Entitlements, paces: Paces) -> Outlook:
    """What would be to be expected of a job that is not there yet, were it submitted now. It changes nothing.

    `paces` are those of the job's model.
    """
    now = database_time()
    if job.state == State.SCHEDULED:
        return Outlook(now)
    place = place_of_newcomer(job, plan)
    return _of_queued([job], {job.pk: place}, _Hands(now, paces), joins_by=plan)[job.pk]


class _Hands:
    """What all workers have in hand, and how soon they will be done with it."""

    def __init__(self, now: datetime, paces: Paces) -> None:
        self.now, self.paces = now, paces
        under_way = Attempt.objects.filter(
            job__state__in=Job.HELD, outcome=Attempt.Outcome.UNDER_WAY, number=F("job__attempt")
        )
        self.attempts = {attempt.job_id: attempt for attempt in under_way.select_related("job")}

    def end_of(self, job: Job) -> Span:
        """Seconds until the clip of a running or finishing job is there."""
        attempt = self.attempts.get(job.pk)
        return self._end(attempt) if attempt else self._whole(job)

    def releases(self) -> list[tuple[float, UUID]]:
        """When each job in hand ends, and whose it is."""
        return [(self._end(attempt).likely, attempt.job.workspace_id) for attempt in self.attempts.values()]

    def busy(self) -> dict[str, float]:
        """Seconds until each worker's engine is free, by the worker's name; those not in it are."""
        return {
            attempt.worker: self._engine(attempt).likely
            for attempt in self.attempts.values()
            if attempt.job.state == State.RUNNING
        }

    def _end(self, attempt: Attempt) -> Span:
        finish = self.paces.speed(attempt.job, attempt.gpu, attempt.precision).finish
        if attempt.job.state == State.RUNNING:
            return self._engine(attempt) + finish
        return _less(finish, self._since(attempt.engine_ended_at))

    def _engine(self, attempt: Attempt) -> Span:
        """What is left of the engine's work: by its steps, and by the clock once they are all done."""
        whole = self.paces.engine(attempt.job, attempt.gpu, attempt.precision)
        if attempt.job.progress < 1:
            return whole * (1 - attempt.job.progress)
        return _less(whole, self._since(attempt.engine_started_at))

    def _whole(self, job: Job) -> Span:
        return self.paces.engine(job) * (1 - job.progress) + self.paces.speed(job).finish

    def _since(self, moment: datetime | None) -> float:
        return max(0.0, (self.now - moment).total_seconds()) if moment else 0.0


def _less(span: Span, seconds: float) -> Span:
    return Span(*(max(0.0, edge - seconds) for edge in (span.likely, span.low, span.high)))


def _of_queued(
    jobs: Sequence[Job], where: Mapping[UUID, Place], hands: _Hands, *, joins_by: Entitlements | None = None
) -> dict[UUID, Outlook]:
    """`joins_by` is the plan of a job that the flows do not count yet, the only one then."""
    if not jobs:
        return {}
    pauses = {pause.scope: pause for pause in Pause.objects.all()}
    by_model: defaultdict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        by_model[job.model].append(job)
    workers: defaultdict[str, list[Worker]] = defaultdict(list)
    for worker in alive_workers().filter(model__in=by_model).exclude(state=Worker.State.DRAINING):
        workers[worker.model].append(worker)
    found: dict[UUID, Outlook] = {}
    for model, waiting in by_model.items():
        line = _Line(workers[model], waiting, where, pauses, hands, joins_by)
        found |= {job.pk: line.outlook(job) for job in waiting}
    return found


class _Line:
    """The jobs that wait for one model: what its workers will take from its lanes, and when."""

    def __init__(
        self,
        workers: Sequence[Worker],
        jobs: Sequence[Job],
        where: Mapping[UUID, Place],
        pauses: Mapping[str, Pause],
        hands: _Hands,
        joins_by: Entitlements | None = None,
    ) -> None:
        self.where, self.pauses, self.hands = where, pauses, hands
        self.served = {lane for worker in workers for lane in worker.lanes}
        self.crews = [self._crew(worker, jobs) for worker in workers]
        lanes = sorted(self.served | {job.lane for job in jobs})
        self.flows = _flows(lanes)
        if joins_by:
            _join(self.flows, jobs[0], where[jobs[0].pk], joins_by)
        self.clocks = {clock.lane: clock for clock in LaneClock.objects.filter(lane__in=lanes)}
        self._higher: dict[str, int] = {}
        self.play = self._rehearse(jobs)

    def outlook(self, job: Job) -> Outlook:
        """What is to be expected of one of the jobs."""
        place, now = self.where.get(job.pk), self.hands.now
        if place is None:  # claimed a moment ago
            return Outlook(now)
        flow = self.flows.get(place.flow_id)
        told = Outlook(
            now,
            position=place.ahead + 1,
            throttled=place.throttled,
            limit=flow["concurrent_jobs"] if flow else None,
            pause=self._pause(job.lane),
            no_worker=job.lane not in self.served,
        )
        if told.pause or told.no_worker:
            return told
        starts = _with_range(self._start(job, place))
        return replace(told, starts_in=starts, ends_in=starts + self._duration(job))

    def _start(self, job: Job, place: Place) -> float:
        """Seconds until the job is claimed."""
        starts: list[float] = self.play.starts.get(place.flow_id, [])
        if len(starts) > place.before:
            return starts[place.before]
        ahead = self._work_of_higher_lanes(job.lane)
        left = max(0.0, (place.work_ms + ahead) / 1000 - self.play.work)
        if self.play.until and self.play.work:
            return self.play.until * (1 + left / self.play.work)
        return self.play.until + left / sum(1 / crew.slowness for crew in self.crews)

    def _work_of_higher_lanes(self, lane: str) -> int:
        """Milliseconds of work in the lanes that the lane's workers serve before it; asked once a lane."""
        if lane not in self._higher:
            earlier = {
                higher
                for crew in self.crews
                if lane in crew.lanes
                for higher in crew.lanes[: crew.lanes.index(lane)]
            }
            waiting = Flow.objects.filter(lane__in=earlier)
            self._higher[lane] = waiting.aggregate(work=Sum("waiting_ms", default=0))["work"]
        return self._higher[lane]

    def _duration(self, job: Job) -> Span:
        """From the claim to the clip, on the workers that serve the job's lane."""
        serving = [crew for crew in self.crews if job.lane in crew.lanes]
        slowness = fmean(crew.slowness for crew in serving) / fmean(crew.slowness for crew in self.crews)
        speed = self.hands.paces.speed(job)
        return self.hands.paces.engine(job) * slowness + speed.finish

    def _crew(self, worker: Worker, jobs: Sequence[Job]) -> Crew:
        paces, now = self.hands.paces, self.hands.now
        slowness = fmean(
            paces.engine(job, worker.gpu_name, worker.precision).likely * 1000 / job.work_ms for job in jobs
        )
        free_at = self.hands.busy().get(worker.name, 0.0)
        if worker.state == Worker.State.LOADING:
            load = catalog.models()[worker.model].speed.load_seconds if worker.model in catalog.models() else 0.0
            free_at = max(free_at, load - (now - worker.started_at).total_seconds())
        lanes = tuple(lane for lane in worker.lanes if not self._pause(lane))
        return Crew(lanes, free_at, max(slowness, 1e-6))

    def _rehearse(self, jobs: Sequence[Job]) -> Play:
        queues = [
            Line(
                id=flow["id"],
                lane=flow["lane"],
                workspace=flow["workspace_id"],
                tag=flow["tag"],
                weight=flow["weight"],
                waiting=flow["waiting"],
                seconds=flow["waiting_ms"] / flow["waiting"] / 1000,
                priority=flow["priority"],
                waited=flow["waited"],
            )
            for flow in self.flows.values()
        ]
        wanted: dict[int, int] = {}
        for place in (self.where[job.pk] for job in jobs if job.pk in self.where):
            wanted[place.flow_id] = max(wanted.get(place.flow_id, 0), place.before + 1)
        rehearsal = Rehearsal(
            self.crews,
            queues,
            limits={flow["workspace_id"]: flow["concurrent_jobs"] for flow in self.flows.values()},
            releases=self.hands.releases(),
            promises={lane: _promise(lane) for lane in self.served},
            clocks={lane: clock.virtual_time for lane, clock in self.clocks.items()},
            finish=fmean(self.hands.paces.speed(job).finish.likely for job in jobs),
            arrivals=self._arrivals(),
        )
        return rehearsal.play(CLAIMS, wanted)

    def _arrivals(self) -> list[EvenArrivals]:
        joining = [
            clock
            for clock in self.clocks.values()
            # What joins where nobody serves is never claimed, and would go on joining for ever.
            if clock.hourly_jobs and clock.lane in self.served and not self._pause(clock.lane)
        ]
        numbers = count(-1, -1)
        rush = max((self._load(lane, joining) for lane in self.served), default=0.0) / RUSH
        return [
            EvenArrivals(
                clock.lane,
                every=HOUR / clock.hourly_jobs * max(1.0, rush),
                seconds=clock.hourly_ms / clock.hourly_jobs / 1000,
                numbers=numbers,
            )
            for clock in joining
        ]

    def _load(self, lane: str, joining: Sequence[LaneClock]) -> float:
        """The share of the lane's workers that everything keeps busy that joins the lanes they serve."""
        own = self._capacity({lane})
        work = sum(
            clock.hourly_ms * self._capacity({lane, clock.lane}) / self._capacity({clock.lane})
            for clock in joining
        )
        return work / (own * 1000 * HOUR) if own else 0.0

    def _capacity(self, lanes: set[str]) -> float:
        """Seconds of work a second of the workers that serve all of the lanes."""
        return sum(1 / crew.slowness for crew in self.crews if lanes.issubset(crew.lanes))

    def _pause(self, lane: str) -> Pause | None:
        for scope in (Pause.EVERYTHING, lane.rpartition(".")[0], lane):
            if scope in self.pauses:
                return self.pauses[scope]
        return None


def _with_range(likely: float) -> Span:
    return Span(likely, likely * QUICK, likely * SLOW)


def _promise(lane: str) -> float:
    promise: timedelta = settings.TIER_PROMISES[lane.rpartition(".")[2]]
    return promise.total_seconds()


_FLOWS = """
SELECT flow.id, flow.lane, flow.workspace_id, flow.tag, flow.weight, flow.waiting, flow.waiting_ms, flow.priority,
    extract(epoch FROM statement_timestamp() - flow.oldest_at)::float8 AS waited,
    coalesce(agreed.jobs, own.concurrent_jobs, usual.concurrent_jobs) AS concurrent_jobs
FROM unnest(%(lanes)s::varchar[]) AS asked (lane)
CROSS JOIN LATERAL (
    (
        SELECT * FROM generation_flow
        WHERE lane = asked.lane AND waiting > 0 AND NOT throttled ORDER BY priority DESC, tag, id LIMIT %(most)s
    )
    UNION ALL
    (
        SELECT * FROM generation_flow
        WHERE lane = asked.lane AND waiting > 0 AND throttled ORDER BY priority DESC, tag, id LIMIT %(most)s
    )
) AS flow
LEFT JOIN billing_subscription subscription ON subscription.workspace_id = flow.workspace_id
LEFT JOIN billing_plan own ON own.slug = subscription.plan_id
LEFT JOIN billing_plan usual ON usual.is_default
LEFT JOIN LATERAL (
    -- As `billing.entitlements` has it: of several that are in force the newest holds.
    SELECT (value #>> '{}')::integer AS jobs FROM billing_planoverride
    WHERE workspace_id = flow.workspace_id AND "limit" = 'concurrent_jobs' AND ends_at > statement_timestamp()
    ORDER BY id DESC LIMIT 1
) AS agreed ON true
"""


def _flows(lanes: list[str]) -> dict[int, dict[str, Any]]:
    """The flows of the lanes that come first, each with what its workspace may run at once."""
    with connection.cursor() as cursor:
        cursor.execute(_FLOWS, {"lanes": lanes, "most": CLAIMS})
        columns = [column.name for column in cursor.description or ()]
        return {row[0]: dict(zip(columns, row, strict=True)) for row in cursor.fetchall()}


def _join(flows: dict[int, dict[str, Any]], job: Job, place: Place, plan: Entitlements) -> None:
    """Count a newcomer in its flow, as `scheduling.flows.join` would."""
    idle = {"waiting": 0, "waiting_ms": 0, "priority": job.priority, "waited": 0.0}
    flow = flows.setdefault(place.flow_id, idle)
    flow["waiting"] += 1
    flow["waiting_ms"] += job.work_ms
    flow["priority"] = max(flow["priority"], job.priority)
    flow |= {
        "id": place.flow_id,
        "lane": job.lane,
        "workspace_id": job.workspace_id,
        "tag": place.tag,
        "weight": plan.weight,
        "concurrent_jobs": plan.concurrent_jobs,
    }
