"""The claims to come, rehearsed: which flow's next job starts when, if the workers go on as they are going.

The same rules as `scheduling.claims` and `scheduling.flows`, on rows that were read once: lanes in a worker's
order unless one is late, within a lane priority and start tag, and no more jobs at once than a workspace may run.
Times are seconds from now.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf


@dataclass(slots=True)
class Crew:
    """One worker: the lanes it serves in their order, when it is free, and its seconds for a second of work."""

    lanes: tuple[str, ...]
    free_at: float
    slowness: float = 1.0


@dataclass(slots=True)
class Queue:
    """One flow: its jobs are taken for equally long."""

    id: int
    lane: str
    workspace: object
    tag: float
    weight: int
    waiting: int
    work: float
    """Seconds of work in one of its jobs."""
    priority: int
    waited: float
    """Seconds since the one that is next joined the lane."""
    taken: int = 0

    @property
    def turn(self) -> tuple[int, float, int]:
        """What the claim goes by, smallest first."""
        return -self.priority, self.tag, self.id

    @property
    def oldest(self) -> float:
        """When the next one joined: the jobs behind the first are taken to have come at even intervals."""
        return -self.waited * (self.waiting - self.taken) / self.waiting


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What joins a lane while the others wait: jobs of workspaces that had none waiting, at even intervals."""

    lane: str
    every: float
    """Seconds between them."""
    work: float
    """Seconds of work in each."""


@dataclass(slots=True)
class Holding:
    """A workspace: how many jobs it may run at once, and how many it runs."""

    limit: int
    running: int = 0
    held_back: list[Queue] = field(default_factory=list)


@dataclass(slots=True)
class Play:
    """What a rehearsal found."""

    starts: dict[int, list[float]]
    """By flow: when its first, second, … job starts."""
    until: float = 0.0
    """How far ahead it looked."""
    work: float = 0.0
    """Seconds of work that were begun by then, in all lanes, without what arrived meanwhile."""


class Rehearsal:
    """One run through the claims to come."""

    def __init__(
        self,
        crews: Iterable[Crew],
        queues: Iterable[Queue],
        limits: Mapping[object, int],
        releases: Iterable[tuple[float, object]],
        promises: Mapping[str, float],
        clocks: Mapping[str, float],
        *,
        finish: float = 0.0,
        arrivals: Iterable[Arrivals] = (),
    ) -> None:
        """`releases` says when running jobs end, and whose; `finish` is how long a job outlasts the engine."""
        self._promises, self._clocks, self._finish = promises, defaultdict(float, clocks), finish
        self._holdings = {workspace: Holding(limit) for workspace, limit in limits.items()}
        self._releases: list[tuple[float, int, object]] = []
        self._count = 0
        for at, workspace in releases:
            if workspace in self._holdings:
                self._holdings[workspace].running += 1
                self._release_later(at, workspace)
        self._free = [(crew.free_at, number, crew) for number, crew in enumerate(crews)]
        heapq.heapify(self._free)
        self._turns: defaultdict[str, list[tuple[tuple[int, float, int], int, Queue]]] = defaultdict(list)
        self._ages: defaultdict[str, list[tuple[float, int, Queue]]] = defaultdict(list)
        self._ready: set[int] = set()
        for queue in queues:
            self._offer(queue)
        self._arriving = [(arrivals.every / 2, number, arrivals) for number, arrivals in enumerate(arrivals)]
        heapq.heapify(self._arriving)

    def play(self, claims: int, wanted: Mapping[int, int]) -> Play:
        """Go through so many claims at most, or until every flow in `wanted` has begun so many jobs."""
        play = Play(defaultdict(list))
        missing = {flow: jobs for flow, jobs in wanted.items() if jobs}
        idle: list[tuple[float, int, Crew]] = []
        while claims and missing and (self._free or (idle and (self._releases or self._arriving))):
            news = min(_first(self._releases), _first(self._arriving))
            if news <= _first(self._free):
                if news == _first(self._arriving):
                    self._arrive()
                else:
                    self._release()
                for _, number, crew in idle:  # whoever found nothing looks again
                    heapq.heappush(self._free, (max(news, crew.free_at), number, crew))
                idle.clear()
                continue
            now, number, crew = heapq.heappop(self._free)
            queue = self._next(crew, now)
            if queue is None:
                idle.append((now, number, crew))
                continue
            claims -= 1
            play.until = now
            if queue.id > 0:
                play.starts[queue.id].append(now)
                play.work += queue.work
                if missing.get(queue.id) == len(play.starts[queue.id]):
                    del missing[queue.id]
            crew.free_at = now + queue.work * crew.slowness
            heapq.heappush(self._free, (crew.free_at, number, crew))
            self._take(queue, crew.free_at + self._finish)
        return play

    def _next(self, crew: Crew, now: float) -> Queue | None:
        """The flow whose turn it is with this worker; None where it finds nothing."""
        lateness = {lane: self._lateness(lane, now) for lane in crew.lanes}
        late = sorted((lane for lane in crew.lanes if lateness[lane] >= 1), key=lambda lane: -lateness[lane])
        for lane in [*late, *crew.lanes]:
            turns = self._turns[lane]
            while turns and not (turns[0][0] == turns[0][2].turn and self._may_run(turns[0][2])):
                heapq.heappop(turns)
            if turns:
                return turns[0][2]
        return None

    def _lateness(self, lane: str, now: float) -> float:
        """How long the lane's oldest job has waited, as a share of its promise."""
        ages = self._ages[lane]
        while ages and not (ages[0][0] == ages[0][2].oldest and self._may_run(ages[0][2])):
            heapq.heappop(ages)
        return (now - ages[0][0]) / self._promises[lane] if ages else 0.0

    def _take(self, queue: Queue, ends: float) -> None:
        self._ready.discard(queue.id)
        if queue.priority <= 0:
            self._clocks[queue.lane] = max(self._clocks[queue.lane], queue.tag)
        queue.tag += max(1.0, queue.work * 1000 // queue.weight)
        queue.priority = min(queue.priority, 0)  # of a flow's boosted jobs only the first is known of
        queue.taken += 1
        holding = self._holdings[queue.workspace]
        holding.running += 1
        self._release_later(ends, queue.workspace)
        self._offer(queue)

    def _offer(self, queue: Queue) -> None:
        """The flow takes part, if it has more jobs and its workspace may run one."""
        if queue.taken >= queue.waiting:
            return
        self._ready.add(queue.id)
        if self._may_run(queue):
            self._count += 1
            heapq.heappush(self._turns[queue.lane], (queue.turn, self._count, queue))
            heapq.heappush(self._ages[queue.lane], (queue.oldest, self._count, queue))

    def _may_run(self, queue: Queue) -> bool:
        """Whether the flow takes part; where its workspace has become full it is held back from now on."""
        holding = self._holdings[queue.workspace]
        if queue.id in self._ready and holding.running >= holding.limit:
            self._ready.discard(queue.id)
            holding.held_back.append(queue)
        return queue.id in self._ready

    def _release_later(self, at: float, workspace: object) -> None:
        self._count += 1
        heapq.heappush(self._releases, (at, self._count, workspace))

    def _release(self) -> None:
        """The next running job ends: its workspace may run another."""
        _, _, workspace = heapq.heappop(self._releases)
        holding = self._holdings[workspace]
        holding.running -= 1
        held_back, holding.held_back = holding.held_back, []
        for queue in held_back:  # as if from idleness
            queue.tag = max(queue.tag, self._clocks[queue.lane])
            self._offer(queue)

    def _arrive(self) -> None:
        """A job joins a lane, of a workspace that nothing else is known of: its id is negative."""
        at, number, arrivals = heapq.heappop(self._arriving)
        heapq.heappush(self._arriving, (at + arrivals.every, number, arrivals))
        self._count += 1
        self._holdings[-self._count] = Holding(1)
        self._offer(
            Queue(
                id=-self._count,
                lane=arrivals.lane,
                workspace=-self._count,
                tag=self._clocks[arrivals.lane],
                weight=1,
                waiting=1,
                work=arrivals.work,
                priority=0,
                waited=-at,
            )
        )


def _first(events: Sequence[tuple[float, int, object]]) -> float:
    """When the first of them happens; never where there is none."""
    return events[0][0] if events else inf
