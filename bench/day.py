"""A day of mixed load in simulated time: the real database, submit, claim and attempts; workers that only pretend.

The database's clock is ours: `statement_timestamp()`, which all that decides by time goes by, is found in a schema
of the simulation's before PostgreSQL's own, and says what the simulation says.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from unittest import mock
from uuid import UUID

from django.db import connection
from django.test.utils import override_settings

from assets.models import Asset
from billing.errors import LimitReached
from billing.models import Plan, Subscription
from generation import attempts, services
from generation.errors import AlreadyEnded
from generation.forecast import pace
from generation.models import Flow, Job, LaneClock, Pace, Worker
from generation.scheduling.claims import Claimant, claim
from generation.scheduling.lanes import Lane
from generation.services import JobRequest
from mutoscope.accounts.models import ApiKey, User, Workspace
from mutoscope.accounts.selectors import Access
from mutoscope.accounts.services import create_workspace

MORNING = datetime(2026, 3, 2, tzinfo=UTC)
DAY = 24 * 3600.0
FREE_WORKSPACES, STUDIO_WORKSPACES = 30, 10
MEASURE_EVERY = 300.0
TRUE_STEP = {"day-quick": 2.0, "day-slow": 6.5}
"""Seconds per step of the smallest clip on the usual GPU. The catalog's estimates are others, as they would be."""
BASE_PIXEL_FRAMES = 832 * 480 * 33
JITTER = 0.08
FINISH = 6.0
RETURNED, FAILED, CANCELLED = 0.02, 0.005, 0.02
"""Shares of attempts that the machine's fault ends, or the input's; of jobs that are cancelled in the line."""
FLEET = [
    ("quick-a", "day-quick", ("paid",), "card", 1.0),
    ("quick-b", "day-quick", ("paid", "free", "batch"), "card", 1.0),
    ("quick-c", "day-quick", ("free", "batch"), "old card", 1.5),
    ("slow-a", "day-slow", ("paid",), "card", 1.0),
    ("slow-b", "day-slow", ("paid", "free", "batch"), "card", 1.0),
    ("slow-c", "day-slow", ("paid", "free", "batch"), "old card", 1.5),
    ("slow-d", "day-slow", ("free", "batch"), "old card", 1.5),
]
"""Workers: name, model, tiers in their order, GPU, and how much slower than the usual one it is."""
AWAY = ("slow-b", 13.0, 14.0)
"""One worker is away for an hour."""


@dataclass
class Machine:
    """A pretended worker."""

    name: str
    model: str
    lanes: list[Lane]
    gpu: str
    slowness: float
    job: Job | None = None
    began: float = 0.0
    engine_seconds: float = 0.0
    away: bool = False


@dataclass
class Day:
    """The simulation: what happens when, and the truth about each job."""

    seed: int
    load: float
    on_submit: Callable[[Day, Job], None]
    now: float = 0.0
    ended: dict[UUID, float] = field(default_factory=dict)
    started: dict[UUID, float] = field(default_factory=dict)
    claimed: dict[str, list[UUID]] = field(default_factory=lambda: defaultdict(list))
    """By lane: the jobs in the order of their claims."""
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311
        self.busy = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self.machines = [
            Machine(name, model, [Lane(model, tier) for tier in tiers], gpu, slowness)
            for name, model, tiers, gpu, slowness in FLEET
        ]

    def at(self, moment: float, action: Callable[[], None]) -> None:
        """Have something happen at a moment, in seconds since midnight."""
        heapq.heappush(self._events, (moment, next(self._order), action))

    def run(self) -> None:
        """From midnight until every job that was submitted on the day has ended."""
        with (
            _clock_of_ours(),
            mock.patch("generation.scheduling.tickets.issue"),
            mock.patch("generation.live.publish"),
        ):
            self._tell_time()
            self._people()
            self._report()
            self.at(MEASURE_EVERY, self._measure)
            name, leaves, returns = AWAY
            machine = next(machine for machine in self.machines if machine.name == name)
            self.at(leaves * 3600, lambda: setattr(machine, "away", True))
            self.at(returns * 3600, lambda: setattr(machine, "away", False))
            while self._events:
                self.now, _, action = heapq.heappop(self._events)
                self._tell_time()
                action()
                self._give_work()

    def look(self) -> None:
        """Let the database have what workers would have reported by now."""
        for machine in self.machines:
            if machine.job is not None:
                done = min(1.0, (self.now - machine.began) / machine.engine_seconds)
                steps = pace.steps_of(machine.job)
                Job.objects.filter(pk=machine.job.pk).update(progress=math.floor(done * steps) / steps)
        self._report()

    def _tell_time(self) -> None:
        with connection.cursor() as cursor:
            moment = MORNING + timedelta(seconds=self.now)
            cursor.execute("SELECT set_config('simulated.now', %s, false)", [moment.isoformat()])

    def _people(self) -> None:
        # How much people want is the day's own matter.
        Plan.objects.update(seconds_per_day=None, seconds_per_month=None)
        for number in range(FREE_WORKSPACES + STUDIO_WORKSPACES):
            user = User.objects.create(email=f"{self.seed}-{number}@eta.example", password="!")  # noqa: S106  nobody signs in
            workspace = create_workspace(user, f"{number}")
            studio = number >= FREE_WORKSPACES
            if studio:
                Subscription.objects.create(workspace=workspace, plan=Plan.objects.get(slug="studio"))
            access = Access(workspace, frozenset(ApiKey.Scope.values), user)
            activity = self.random.lognormvariate(0, 0.7)
            self._next_visit(access, activity, studio)

    def _next_visit(self, access: Access, activity: float, studio: bool) -> None:
        """People come by the time of day (thinned Poisson) and then ask for several clips."""
        moment = self.now
        rate = activity * self.load / 3600
        while True:
            moment += self.random.expovariate(rate * 1.7)
            if moment >= DAY:
                return
            if self.random.random() < _intensity(moment) / 1.7:
                break

        def visit() -> None:
            self._ask(access, studio)
            self._next_visit(access, activity, studio)

        self.at(moment, visit)

    def _ask(self, access: Access, studio: bool) -> None:
        draw = self.random
        tier = draw.choices(["paid", "batch", "free"], [8, 1.5, 0.5])[0] if studio else "free"
        clips = min(40, 1 + int(draw.expovariate(1 / (12 if tier == "batch" else 1.8))))
        model = draw.choices(["day-quick", "day-slow"], [3, 1])[0]
        size = draw.choices(["small", "large"], [2, 1])[0]
        request = JobRequest(model=model, tier=tier, size=size, seconds=draw.choice([2, 3, 4, 5]))

        def one(left: int) -> None:
            try:
                job = services.submit(access, request)
            except LimitReached:
                self.counts["refused"] += 1
                return
            self.counts["submitted"] += 1
            self.on_submit(self, job)
            if draw.random() < CANCELLED:
                self.at(self.now + draw.expovariate(1 / 300), lambda: self._cancel(access, job))
            if left:
                self.at(self.now + draw.expovariate(1 / 8), lambda: one(left - 1))

        one(clips - 1)

    def _cancel(self, access: Access, job: Job) -> None:
        if Job.objects.filter(pk=job.pk, state=Job.State.QUEUED).exists():
            try:
                services.cancel(access, job.pk)
            except AlreadyEnded:
                return
            self.counts["cancelled"] += 1

    def _give_work(self) -> None:
        waiting = set(Flow.objects.filter(waiting__gt=0, throttled=False).values_list("lane", flat=True))
        for machine in self.machines:
            if machine.job is None and not machine.away and any(str(lane) in waiting for lane in machine.lanes):
                job = claim(machine.lanes, Claimant(machine.name, f"{machine.name}/0", machine.gpu, "bf16"))
                if job is not None:
                    self._begin(machine, job)

    def _begin(self, machine: Machine, job: Job) -> None:
        attempts.note_engine_started(job, memory_plan="", first_step=0)
        self.claimed[job.lane].append(job.pk)
        self.started[job.pk] = self.now
        scale = job.width * job.height * job.frames / BASE_PIXEL_FRAMES
        usual = TRUE_STEP[job.model] * scale * pace.steps_of(job) * machine.slowness
        machine.job, machine.began = job, self.now
        machine.engine_seconds = usual * self.random.lognormvariate(0, JITTER)
        self.busy += machine.engine_seconds
        fate = self.random.random()
        if fate < RETURNED + FAILED:
            share = self.random.random()
            self.at(self.now + machine.engine_seconds * share, lambda: self._break(machine, job, fate < FAILED))
        else:
            self.at(self.now + machine.engine_seconds, lambda: self._finish(machine, job))

    def _finish(self, machine: Machine, job: Job) -> None:
        attempts.start_finishing(job, {}, steps=pace.steps_of(job))
        machine.job = None
        self.at(self.now + FINISH * self.random.lognormvariate(0, 0.3), lambda: self._publish(job))

    def _publish(self, job: Job) -> None:
        attempts.succeed(job, Asset(workspace_id=job.workspace_id, kind="video", origin="generated", size_bytes=1))
        self.ended[job.pk] = self.now
        self.counts["succeeded"] += 1

    def _break(self, machine: Machine, job: Job, for_good: bool) -> None:
        machine.job = None
        if for_good:
            attempts.fail(job, "bad_input", "the picture cannot be read")
        else:
            attempts.give_back(job, "device_lost", "the GPU went away")
        self.counts["failed" if for_good else "given back"] += 1

    def _measure(self) -> None:
        pace.measure()
        pace.measure_arrivals()
        if self.now < DAY:
            self.at(self.now + MEASURE_EVERY, self._measure)

    def _report(self) -> None:
        """Every worker's row, as it reports itself."""
        now = MORNING + timedelta(seconds=self.now)
        rows = [
            Worker(
                name=machine.name, host=machine.name, pid=1, gpu="0", gpu_name=machine.gpu, model=machine.model,
                precision="bf16", lanes=[str(lane) for lane in machine.lanes], version="1", started_at=now,
                seen_at=now, state=Worker.State.STOPPED if machine.away else Worker.State.IDLE,
            )
            for machine in self.machines
        ]  # fmt: skip
        Worker.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["name"], update_fields=["seen_at", "state"]
        )


def _intensity(moment: float) -> float:
    """How busy people are: little at night, most in the afternoon, with lulls and rushes of half an hour."""
    hour = moment / 3600
    daily = 0.25 + 1.0 * max(0.0, math.sin((hour - 7) / 15 * math.pi)) if hour > 7 else 0.25
    return daily * (1 + 0.3 * math.sin(hour * 4.1))


@contextmanager
def _clock_of_ours() -> Iterator[None]:
    """An empty platform on a database whose statements think it is the simulated moment."""
    for model in (Pace, Worker, Flow, LaneClock):
        model.objects.all().delete()
    Job.objects.all().delete()
    Workspace.objects.filter(memberships__user__email__endswith="@eta.example").delete()
    User.objects.filter(email__endswith="@eta.example").delete()
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA IF NOT EXISTS simulated")
        cursor.execute(
            "CREATE OR REPLACE FUNCTION simulated.statement_timestamp() RETURNS timestamptz LANGUAGE sql STABLE "
            "AS $$ SELECT current_setting('simulated.now')::timestamptz $$"
        )
        cursor.execute("SET search_path = simulated, public, pg_catalog")
        cursor.execute("SET synchronous_commit = off")  # nothing here need survive a crash
    try:
        with override_settings(JOB_LEASE=timedelta(days=3)):
            yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET search_path")
            cursor.execute("RESET synchronous_commit")
