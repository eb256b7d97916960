"""What is broken: each fault is a small class that begins it and heals it; a plan of them comes from one seed."""

from __future__ import annotations

import heapq
import itertools
import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

import psutil

from tests.chaos import setting, storage
from tests.chaos.scene import Post, Scene
from tests.chaos.setting import FAMILIES, Size

STALL = 3.0
"""Seconds without progress after which the scripted engine counts as hung (tests/catalog/still.toml)."""
AT_WORK = 0.8
"""Share of the faults of workers that seek out one with a job in hand."""


class Fault(ABC):
    """One thing that breaks. `begin` says what it has hit, or nothing where there was nothing to hit just then."""

    name: ClassVar[str]
    takes_service_away: ClassVar[bool] = False
    """Whether jobs cannot go on anywhere while it lasts."""
    patience: ClassVar[int] = 40
    """Half seconds that it waits until there is something to hit."""

    def __init__(self, chance: random.Random, lasts: float = 0.0) -> None:
        self.lasts = lasts
        self.chance = chance
        self.pid = 0
        """The worker that it hit, if it hit one."""

    @abstractmethod
    def begin(self, scene: Scene) -> str:
        """Break it. Returns what was hit."""

    def heal(self, scene: Scene) -> None:  # noqa: B027  most faults need no healing
        """Undo it, `lasts` seconds later; nothing to do where a supervisor or the platform itself does."""

    def _worker(self, scene: Scene, *, with_engine: bool = False) -> Post | None:
        """Some worker that is up, more often than not one that has a job in hand."""
        up = [post for post in scene.workers if post.is_up and (post.engine() or not with_engine)]
        busy = scene.services.pids_at_work() if self.chance.random() < AT_WORK else set()
        at_work = [post for post in up if post.process is not None and post.process.pid in busy]
        if not up:
            return None
        post = self.chance.choice(at_work or up)
        self.pid = post.process.pid if post.process is not None else 0
        return post


class WorkerKilled(Fault):
    name = "worker SIGKILL"

    def begin(self, scene: Scene) -> str:
        post = self._worker(scene)
        if post is None or post.process is None:
            return ""
        post.process.kill()
        return post.name


class WorkerTerminated(Fault):
    name = "worker SIGTERM"

    def begin(self, scene: Scene) -> str:
        post = self._worker(scene, with_engine=True)  # one that is still loading has nothing to drain
        if post is None or post.process is None:
            return ""
        post.process.terminate()
        return post.name


class WorkerFrozen(Fault):
    """Stopped for longer than its lease, it wakes up and believes that its job is still its own."""

    name = "worker SIGSTOP"

    def begin(self, scene: Scene) -> str:
        post = self._worker(scene, with_engine=True)
        if post is None or post.process is None:
            return ""
        post.process.suspend()
        return post.name

    def heal(self, scene: Scene) -> None:
        with suppress(psutil.NoSuchProcess):
            psutil.Process(self.pid).resume()


class EngineKilled(Fault):
    name = "engine SIGKILL"

    def begin(self, scene: Scene) -> str:
        post = self._worker(scene, with_engine=True)
        engine = post.engine() if post else None
        if post is None or engine is None:
            return ""
        with suppress(psutil.NoSuchProcess):
            engine.kill()
        return post.name


class EngineFrozen(Fault):
    """Stopped for longer than an engine may make no progress: its parent has to kill it."""

    name = "engine SIGSTOP"
    engine: psutil.Process | None = None

    def begin(self, scene: Scene) -> str:
        post = self._worker(scene, with_engine=True)
        self.engine = post.engine() if post else None
        if post is None or self.engine is None:
            return ""
        with suppress(psutil.NoSuchProcess):
            self.engine.suspend()
        return post.name

    def heal(self, scene: Scene) -> None:
        with suppress(psutil.NoSuchProcess):
            if self.engine is not None:
                self.engine.resume()


class DenoisingKilled(Fault):
    """The worker of a model with weights, in the middle of its steps: another has to go on from the checkpoint."""

    name = "mid-denoise SIGKILL"
    patience = 200

    def begin(self, scene: Scene) -> str:
        busy = scene.services.pids_at_work(between_steps=True)
        for post in scene.workers:
            if post.is_up and post.process is not None and post.process.pid in busy and post.model in FAMILIES:
                self.pid = post.process.pid
                post.process.kill()
                return f"{post.name}, {post.model}"
        return ""


class UpkeepKilled(Fault):
    name = "upkeep SIGKILL"

    def begin(self, scene: Scene) -> str:
        up = [post for post in scene.upkeep if post.is_up]
        if not up:
            return ""
        post = self.chance.choice(up)
        if post.process is not None:
            post.process.kill()
        return post.name


class TicketsDoubled(Fault):
    """Every ticket that waits is delivered once more, and each lane gets some that stand for nothing."""

    name = "tickets doubled"

    def begin(self, scene: Scene) -> str:
        valkey, doubled, made_up = scene.services.valkey(), 0, 0
        lanes = [lane for lane in valkey.scan_iter() if valkey.type(lane) == b"list" and lane != b"upkeep"]
        for lane in lanes:
            for ticket in valkey.lrange(lane, 0, -1):
                valkey.lpush(lane, ticket)
                doubled += 1
        from generation.scheduling import tickets
        from generation.scheduling.lanes import every_lane

        for lane in every_lane():
            made_up += tickets.issue(str(lane), self.chance.randint(1, 4))
        return f"{doubled} twice, {made_up} for nothing" if made_up else ""


class ValkeyFlushed(Fault):
    name = "Valkey FLUSHALL"

    def begin(self, scene: Scene) -> str:
        scene.services.valkey().flushall()
        return "Valkey"


class ValkeyKilled(Fault):
    name = "Valkey SIGKILL"
    takes_service_away = True

    def begin(self, scene: Scene) -> str:
        scene.services.kill_valkey()
        return f"Valkey, for {self.lasts:.0f} s"

    def heal(self, scene: Scene) -> None:
        scene.services.start_valkey()


class ValkeyCutOff(Fault):
    """First the line falls silent, with all connections half open; after half of the time it is refused."""

    name = "Valkey cut off"
    takes_service_away = True

    def begin(self, scene: Scene) -> str:
        scene.services.proxy.silence()
        self._refusal = threading.Timer(self.lasts / 2, scene.services.proxy.refuse)
        self._refusal.start()
        return f"Valkey, for {self.lasts:.0f} s"

    def heal(self, scene: Scene) -> None:
        self._refusal.join()
        scene.services.proxy.mend()


class PostgresCrashed(Fault):
    name = "PostgreSQL crash"
    takes_service_away = True

    def begin(self, scene: Scene) -> str:
        scene.services.crash_postgres()
        return f"PostgreSQL, for {self.lasts:.0f} s"

    def heal(self, scene: Scene) -> None:
        scene.services.start_postgres()


class StorageRefuses(Fault):
    name = "storage refuses"
    takes_service_away = True

    def begin(self, scene: Scene) -> str:
        storage.flag().touch()
        return f"storage, for {self.lasts:.0f} s"

    def heal(self, scene: Scene) -> None:
        storage.flag().unlink()


@dataclass(frozen=True)
class Happened:
    """A fault as it was: wall-clock times of this machine."""

    name: str
    hit: str
    pid: int
    takes_service_away: bool
    began: float
    ended: float


@dataclass(frozen=True, order=True)
class Planned:
    """A fault to come, `at` seconds after the beginning."""

    at: float
    number: int
    kind: type[Fault]
    lasts: float
    seed: int


PROCESSES: Sequence[type[Fault]] = (
    WorkerKilled, WorkerTerminated, WorkerFrozen, DenoisingKilled, EngineKilled, EngineFrozen, UpkeepKilled,
)  # fmt: skip
SERVICES: Sequence[type[Fault]] = (
    PostgresCrashed, ValkeyFlushed, TicketsDoubled, ValkeyKilled, StorageRefuses, ValkeyCutOff,
)  # fmt: skip


def plan(chance: random.Random, size: Size) -> list[Planned]:
    """Each kind of fault at least once, and then on until the time is over.

    Processes are hit whatever state the services are in; services fail one after the other.
    """
    lasts: dict[type[Fault], tuple[float, float]] = {
        WorkerFrozen: (setting.LEASE + 1.5, setting.LEASE + 4),
        EngineFrozen: (STALL + 1.5, STALL + 3),
        ValkeyKilled: (1, 4),
        PostgresCrashed: (0.5, 4),
        StorageRefuses: (3, 3 + size.cut_off / 6),
        ValkeyCutOff: (size.cut_off, size.cut_off),
    }
    count = itertools.count()

    def timeline(
        kinds: Sequence[type[Fault]], pause: tuple[float, float], *, one_by_one: bool
    ) -> Iterator[Planned]:
        at, rounds = 0.0, 0
        while True:
            for kind in chance.sample(kinds, len(kinds)):
                at += chance.uniform(*pause)
                if at > size.seconds and rounds:
                    return
                length = chance.uniform(*lasts.get(kind, (0, 0)))
                # Jobs that denoise for long come in the second half: one is sure to be hit.
                is_early = kind is DenoisingKilled and not rounds
                yield Planned(
                    min(at, size.seconds / 2) if is_early else at,
                    next(count),
                    kind,
                    length,
                    chance.getrandbits(32),
                )
                at += length if one_by_one else 0
            rounds += 1

    return sorted(
        [*timeline(PROCESSES, size.pause, one_by_one=False), *timeline(SERVICES, size.calm, one_by_one=True)]
    )


class Director:
    """Lets a plan of faults come true."""

    def __init__(self, scene: Scene, faults: Sequence[Planned], say: Callable[[str], None]) -> None:
        self._scene, self._say = scene, say
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._plan = faults
        self._service_fault: Fault | None = None
        self.journal: list[Happened] = []

    def run(self) -> None:
        """Return when the last fault has been healed."""
        beginning = time.monotonic()
        for planned in self._plan:
            fault = planned.kind(random.Random(planned.seed), planned.lasts)
            self._later(beginning + planned.at, lambda fault=fault: self._begin(fault, fault.patience))
        while self._due:
            at, _, action = heapq.heappop(self._due)
            time.sleep(max(0.0, at - time.monotonic()))
            action()

    def _later(self, at: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (at, next(self._count), action))

    def _begin(self, fault: Fault, patience: int) -> None:
        if self._service_fault and type(fault) in SERVICES:
            self._later(time.monotonic() + 0.5, lambda: self._begin(fault, patience))
            return
        began = time.time()
        try:
            hit = fault.begin(self._scene)
        except psutil.NoSuchProcess:  # it ended by itself just now
            hit = ""
        if hit:
            self._say(f"{fault.name}: {hit}")
            self._service_fault = fault if type(fault) in SERVICES else self._service_fault
            self._later(time.monotonic() + fault.lasts, lambda: self._heal(fault, hit, began))
        elif patience:
            self._later(time.monotonic() + 0.5, lambda: self._begin(fault, patience - 1))
        else:
            self._say(f"{fault.name}: found nothing to hit")

    def _heal(self, fault: Fault, hit: str, began: float) -> None:
        fault.heal(self._scene)
        if fault is self._service_fault:
            self._service_fault = None
        if fault.lasts:
            self._say(f"{fault.name}: over ({hit})")
        self.journal.append(Happened(fault.name, hit, fault.pid, fault.takes_service_away, began, time.time()))
