"""Whose turn it is, on flows in memory: the rules of `scheduling.claims` and `scheduling.flows` for times to come.

Lanes in a worker's order unless one is late, within a lane priority and start tag, and no more jobs at once than a
workspace may run. Expected ends (`rehearsal`) and plans of capacity (`generation.planner`) both go by it. Tests
hold its order against that of real claims.
"""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from generation.scheduling.flows import charge
from generation.scheduling.lanes import late_first


@dataclass(slots=True, kw_only=True)
class Queue(ABC):
    """One flow: the jobs of one workspace that wait in one lane. How it knows of its jobs is its own affair."""

    id: int
    lane: str
    workspace: Hashable
    tag: float = 0.0
    weight: int = 1
    priority: int = 0

    @property
    @abstractmethod
    def is_empty(self) -> bool:
        """Whether no job of it waits."""

    @property
    @abstractmethod
    def work(self) -> float:
        """Seconds of work in the job that is next."""

    @property
    @abstractmethod
    def oldest(self) -> float:
        """When the job that is next joined the lane."""

    @abstractmethod
    def advance(self) -> None:
        """The job that was next has been claimed."""

    @property
    def turn(self) -> tuple[int, float, int]:
        """What the claim goes by, smallest first."""
        return -self.priority, self.tag, self.id


@dataclass(slots=True)
class Holding:
    """A workspace: how many jobs it may run at once, and how many it runs."""

    limit: int
    running: int = 0
    flows: dict[int, Queue] = field(default_factory=dict)

    @property
    def is_full(self) -> bool:
        """Its flows are held back."""
        return self.running >= self.limit


class Policy:
    """Who waits, and whose turn it is. Times are seconds on the caller's clock."""

    def __init__(
        self, promises: Mapping[str, float], clocks: Mapping[str, float], limits: Mapping[Hashable, int]
    ) -> None:
        """By lane its promise in seconds and its virtual time; by workspace how many jobs it may run at once."""
        self._promises, self._clocks = promises, defaultdict(float, clocks)
        self._holdings = {workspace: Holding(limit) for workspace, limit in limits.items()}
        self._turns: defaultdict[str, list[tuple[tuple[int, float, int], int, Queue]]] = defaultdict(list)
        self._ages: defaultdict[str, list[tuple[float, int, Queue]]] = defaultdict(list)
        self._count = 0

    def knows(self, workspace: Hashable) -> bool:
        """Whether it was told what the workspace may run."""
        return workspace in self._holdings

    def admit(self, workspace: Hashable, limit: int) -> None:
        """From now on there is such a workspace."""
        self._holdings[workspace] = Holding(limit)

    def begin(self, workspace: Hashable) -> None:
        """The workspace runs one job more."""
        self._holdings[workspace].running += 1

    def come_in(self, queue: Queue) -> None:
        """The flow has work again, after idleness: nobody saves up turns."""
        queue.tag = max(queue.tag, self._clocks[queue.lane])
        self.offer(queue)

    def offer(self, queue: Queue) -> None:
        """The flow takes part: now if it has jobs and its workspace may run one, else when that is so."""
        self._holdings[queue.workspace].flows[queue.id] = queue
        if self._takes_part(queue):
            self._count += 1
            heapq.heappush(self._turns[queue.lane], (queue.turn, self._count, queue))
            heapq.heappush(self._ages[queue.lane], (queue.oldest, self._count, queue))

    def next(self, lanes: Sequence[str], now: float) -> Queue | None:
        """The flow whose turn it is with a worker that serves the lanes; None where it finds nothing."""
        if len(lanes) > 1:
            lanes = late_first(lanes, {lane: self._lateness(lane, now) for lane in lanes})
        for lane in lanes:
            turns = self._turns[lane]
            while turns and not (self._takes_part(turns[0][2]) and turns[0][0] == turns[0][2].turn):
                heapq.heappop(turns)
            if turns:
                return turns[0][2]
        return None

    def take(self, queue: Queue) -> None:
        """The flow's next job is claimed: its turn is charged, and the lane's clock moves on."""
        if queue.priority <= 0:
            self._clocks[queue.lane] = max(self._clocks[queue.lane], queue.tag)
        queue.tag += charge(round(queue.work * 1000), queue.weight)
        queue.advance()
        self.begin(queue.workspace)
        self.offer(queue)

    def release(self, workspace: Hashable) -> None:
        """A job of the workspace has ended: where it was full, its flows come back as if from idleness."""
        holding = self._holdings[workspace]
        was_full = holding.is_full
        holding.running -= 1
        if was_full and not holding.is_full:
            for queue in holding.flows.values():
                self.come_in(queue)

    def _lateness(self, lane: str, now: float) -> float:
        """How long the lane's oldest job has waited, as a share of its promise."""
        ages = self._ages[lane]
        while ages and not (self._takes_part(ages[0][2]) and ages[0][0] == ages[0][2].oldest):
            heapq.heappop(ages)
        return (now - ages[0][0]) / self._promises[lane] if ages else 0.0

    def _takes_part(self, queue: Queue) -> bool:
        return not queue.is_empty and not self._holdings[queue.workspace].is_full
