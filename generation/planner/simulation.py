"""How long clips wait for a GPU of a fleet: days of arrivals, claimed by the platform's own rules.

The workers are those of `forecast.rehearsal` and the rules those of `forecast.policy`, by which expected ends are
told, too. Here all that joins is known beforehand: when, of which workspace and tier, and how much work it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, inf
from random import Random
from statistics import fmean

from generation.forecast.policy import Policy, Queue
from generation.forecast.rehearsal import Crew, Rehearsal
from generation.planner.demand import HOUR, HOURS, moments, pick

WARM_UP_DAYS = 1
"""The first day begins with empty lines, so its waits do not count."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A clip is asked for: when (seconds), by whom, in which lane, and seconds of a GPU that it takes."""

    at: float
    workspace: int
    lane: str
    work: float


@dataclass(frozen=True, slots=True)
class Tenant:
    """What a workspace is entitled to."""

    concurrent_jobs: int
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Waits:
    """How long clips waited from when they were asked for until a GPU began, in seconds."""

    clips: int
    mean: float
    p50: float
    p95: float
    p99: float


def demand(
    clips_per_day: int, clip_work: float, *, profile: str, tiers: Mapping[str, float], workspaces: int, days: int,
    seed: int,
) -> list[Arrival]:  # fmt: skip
    """The arrivals of some days, in order. The same for the same seed, whatever fleet is to serve them."""
    chance = Random(seed)  # noqa: S311  it is to be repeatable
    return [
        Arrival(moment, chance.randrange(workspaces), pick(tiers, chance), clip_work)
        for moment in moments(clips_per_day, profile, days, chance)
    ]


def waits(
    arrivals: Sequence[Arrival], fleet: int, tenants: Sequence[Tenant], promises: Mapping[str, float]
) -> list[float]:
    """Seconds that each arrival waits for one of the fleet's GPUs, in the order of the arrivals.

    `tenants` are the workspaces by their numbers. Each GPU serves every lane of `promises`, in that order, unless
    one is late by its promise (in seconds).
    """
    stream = _Stream(arrivals, tenants)
    crews = [Crew(tuple(promises), 0.0) for _ in range(fleet)]
    limits = {number: tenant.concurrent_jobs for number, tenant in enumerate(tenants)}
    rehearsal = Rehearsal(crews, (), limits, (), promises, {}, arrivals=[stream])
    play = rehearsal.play(len(arrivals), stream.jobs)
    starts = {flow: iter(moments) for flow, moments in play.starts.items()}
    # Within a flow the first to come is the first to start.
    return [next(starts[stream.flow_of(arrival)]) - arrival.at for arrival in arrivals]


def summary(found: Iterable[float]) -> Waits:
    """What is told of them; at least one."""
    ordered = sorted(found)
    return Waits(len(ordered), fmean(ordered), *(_percentile(ordered, share) for share in (0.5, 0.95, 0.99)))


def measured(arrivals: Sequence[Arrival], found: Sequence[float]) -> dict[str, list[float]]:
    """The waits after the warm-up, by lane."""
    told: dict[str, list[float]] = {}
    for arrival, wait in zip(arrivals, found, strict=True):
        if arrival.at >= WARM_UP_DAYS * HOURS * HOUR:
            told.setdefault(arrival.lane, []).append(wait)
    return told


def _percentile(ordered: Sequence[float], share: float) -> float:
    """The nearest rank: a wait that there was."""
    return ordered[ceil(share * len(ordered)) - 1]


@dataclass(slots=True, kw_only=True)
class _Flow(Queue):
    """One workspace's clips in one lane, each known by itself."""

    waiting: deque[Arrival] = field(default_factory=deque)

    @property
    def is_empty(self) -> bool:
        return not self.waiting

    @property
    def work(self) -> float:
        return self.waiting[0].work

    @property
    def oldest(self) -> float:
        return self.waiting[0].at

    def advance(self) -> None:
        self.waiting.popleft()


class _Stream:
    """The arrivals, joining their lanes one after the other."""

    def __init__(self, arrivals: Sequence[Arrival], tenants: Sequence[Tenant]) -> None:
        self._coming = deque(arrivals)
        self._flows: dict[tuple[str, int], _Flow] = {}
        self.jobs: dict[int, int] = {}
        """By flow, how many clips it is to have."""
        for arrival in arrivals:
            key = arrival.lane, arrival.workspace
            if key not in self._flows:
                number = len(self._flows) + 1
                weight = tenants[arrival.workspace].weight
                self._flows[key] = _Flow(id=number, lane=arrival.lane, workspace=arrival.workspace, weight=weight)
            number = self._flows[key].id
            self.jobs[number] = self.jobs.get(number, 0) + 1
        self.next_at = arrivals[0].at if arrivals else inf

    def flow_of(self, arrival: Arrival) -> int:
        """The flow's id."""
        return self._flows[arrival.lane, arrival.workspace].id

    def join(self, policy: Policy) -> None:
        arrival = self._coming.popleft()
        self.next_at = self._coming[0].at if self._coming else inf
        flow = self._flows[arrival.lane, arrival.workspace]
        was_idle = flow.is_empty
        flow.waiting.append(arrival)
        if was_idle:
            policy.come_in(flow)
