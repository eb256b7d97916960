"""The claims to come, rehearsed: which flow's next job starts when, if the workers go on as they are going.

Workers become free, jobs end and others join; each worker that is free takes what the `policy` says. Times are
seconds from now.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Protocol

from generation.forecast.policy import Policy, Queue


@dataclass(slots=True)
class Crew:
    """One worker: the lanes it serves in their order, when it is free, and its seconds for a second of work."""

    lanes: tuple[str, ...]
    free_at: float
    slowness: float = 1.0


@dataclass(slots=True, kw_only=True)
class Line(Queue):
    """A flow that is known by its sums: its jobs are taken for equally long."""

    waiting: int
    seconds: float
    """Of work in one of its jobs."""
    waited: float
    """Seconds since the one that is next joined the lane."""
    taken: int = 0

    @property
    def is_empty(self) -> bool:
        return self.taken >= self.waiting

    @property
    def work(self) -> float:
        return self.seconds

    @property
    def oldest(self) -> float:
        """The jobs behind the first are taken to have come at even intervals."""
        return -self.waited * (self.waiting - self.taken) / self.waiting

    def advance(self) -> None:
        self.taken += 1
        self.priority = min(self.priority, 0)  # of a flow's boosted jobs only the first is known of


class Arrivals(Protocol):
    """What joins lanes while the others wait."""

    next_at: float
    """When the next job joins; infinity when no more does."""

    def join(self, policy: Policy) -> None:
        """It joins, and `next_at` is that of the one after it."""


class EvenArrivals:
    """Jobs of workspaces that had none waiting and of which nothing else is known, at even intervals."""

    def __init__(self, lane: str, every: float, seconds: float, numbers: Iterator[int]) -> None:
        """A job of so many seconds of work joins the lane every so many seconds.

        Each has a workspace and a flow of its own, both called by the next of `numbers`: below zero, for nobody
        asks when they start.
        """
        self._lane, self._every, self._seconds, self._numbers = lane, every, seconds, numbers
        self.next_at = every / 2

    def join(self, policy: Policy) -> None:
        number = next(self._numbers)
        policy.admit(number, 1)
        alone = {"id": number, "workspace": number, "waiting": 1}
        policy.come_in(Line(lane=self._lane, seconds=self._seconds, waited=-self.next_at, **alone))
        self.next_at += self._every


@dataclass(slots=True)
class Play:
    """What a rehearsal found."""

    starts: dict[int, list[float]]
    """By flow: when its first, second, … job starts."""
    until: float = 0.0
    """How far ahead it looked."""
    work: float = 0.0
    """Seconds of work that were begun by then, in all lanes, without what arrived of the unknown."""


class Rehearsal:
    """One run through the claims to come."""

    def __init__(
        self,
        crews: Iterable[Crew],
        queues: Iterable[Queue],
        limits: Mapping[Any, int],
        releases: Iterable[tuple[float, Hashable]],
        promises: Mapping[str, float],
        clocks: Mapping[str, float],
        *,
        finish: float = 0.0,
        arrivals: Iterable[Arrivals] = (),
    ) -> None:
        """`releases` says when running jobs end, and whose; `finish` is how long a job outlasts the engine."""
        self._policy = Policy(promises, clocks, limits)
        self._finish = finish
        self._releases: list[tuple[float, int, Hashable]] = []
        self._count = 0
        for at, workspace in releases:
            if self._policy.knows(workspace):
                self._policy.begin(workspace)
                self._release_later(at, workspace)
        self._free = [(crew.free_at, number, crew) for number, crew in enumerate(crews)]
        heapq.heapify(self._free)
        self._idle: defaultdict[tuple[str, ...], list[tuple[int, Crew]]] = defaultdict(list)
        for queue in queues:
            self._policy.offer(queue)
        self._arriving = [(stream.next_at, number, stream) for number, stream in enumerate(arrivals)]
        heapq.heapify(self._arriving)

    def play(self, claims: int, wanted: Mapping[int, int]) -> Play:
        """Go through so many claims at most, or until every flow in `wanted` has begun so many jobs."""
        play = Play(defaultdict(list))
        missing = {flow: jobs for flow, jobs in wanted.items() if jobs}
        while claims and missing:
            news = min(_first(self._releases), _first(self._arriving))
            if news == inf and not self._free:
                break
            if news <= _first(self._free):
                self._hear(news)
                continue
            now, number, crew = heapq.heappop(self._free)
            queue = self._policy.next(crew.lanes, now)
            if queue is None:
                heapq.heappush(self._idle[crew.lanes], (number, crew))
                continue
            claims -= 1
            self._note(play, missing, queue, now)
            crew.free_at = now + queue.work * crew.slowness
            heapq.heappush(self._free, (crew.free_at, number, crew))
            self._release_later(crew.free_at + self._finish, queue.workspace)
            self._policy.take(queue)
            self._wake(crew.lanes, now)
        return play

    def _note(self, play: Play, missing: dict[int, int], queue: Queue, now: float) -> None:
        play.until = now
        if queue.id > 0:
            play.starts[queue.id].append(now)
            play.work += queue.work
            if missing.get(queue.id) == len(play.starts[queue.id]):
                del missing[queue.id]

    def _hear(self, news: float) -> None:
        """Something joins or ends: of the idle workers of each kind the first looks again."""
        if news == _first(self._arriving):
            self._arrive()
        else:
            self._policy.release(heapq.heappop(self._releases)[2])
        for lanes in self._idle:
            self._wake(lanes, news)

    def _wake(self, lanes: tuple[str, ...], now: float) -> None:
        """Workers of the same lanes find the same: who finds something has the next one look, too."""
        idle = self._idle[lanes]
        if idle:
            number, crew = heapq.heappop(idle)
            heapq.heappush(self._free, (max(now, crew.free_at), number, crew))

    def _arrive(self) -> None:
        _, number, stream = heapq.heappop(self._arriving)
        stream.join(self._policy)
        if stream.next_at < inf:
            heapq.heappush(self._arriving, (stream.next_at, number, stream))

    def _release_later(self, at: float, workspace: Hashable) -> None:
        self._count += 1
        heapq.heappush(self._releases, (at, self._count, workspace))


def _first(events: Sequence[tuple[float, int, object]]) -> float:
    """When the first of them happens; never where there is none."""
    return events[0][0] if events else inf
