"""The scene: workers and upkeep as real processes, each started again when it dies, as a supervisor would."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.chaos.setting import BASE, Services

CLOCKS = (0.0, 150.0, -150.0, 3600.0, -3600.0)
"""Seconds by which the clocks of the processes are off."""
STOP_TIMEOUT = 40.0
"""Seconds a process may take to end at SIGTERM: it drains, and ends what it has in hand."""
CRASH_PAUSE = 0.5
"""Seconds until a supervisor starts a process again."""


@dataclass
class Post:
    """A place in the scene that always has a process: `manage.py` with these arguments, and this clock."""

    name: str
    arguments: tuple[str, ...]
    clock: float
    process: psutil.Popen | None = None
    starts: int = 0
    ended_at: float = 0.0
    exit_codes: list[int] = field(default_factory=list)

    @property
    def is_up(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def model(self) -> str:
        """What a worker serves; nothing of others."""
        return self.arguments[2] if self.arguments[0] == "worker" else ""

    def engine(self) -> psutil.Process | None:
        """The worker's engine process, once there is one."""
        if self.process is None:
            return None
        with suppress(psutil.Error):
            for child in self.process.children():
                if "spawn_main" in " ".join(child.cmdline()):
                    return child
        return None


class Scene:
    """All posts, and the thread that keeps them manned."""

    def __init__(self, services: Services, chance: random.Random, workers: int, families: Sequence[str]) -> None:
        self.services = services
        self._var = Path(os.environ["MUTOSCOPE_VAR"])
        self._closing, self._closed = threading.Event(), threading.Event()
        plans = list(_worker_plans(workers, families))
        clocks = [0.0, *CLOCKS[1:]]
        chance.shuffle(clocks)
        self.workers = [
            Post(f"worker-{i}", arguments, clocks[i % len(clocks)]) for i, arguments in enumerate(plans)
        ]
        # Two at once, with different clocks: they must be safe together.
        self.upkeep = [Post(f"upkeep-{i}", ("upkeep",), clock) for i, clock in enumerate((0.0, -150.0))]
        self._keeper = threading.Thread(target=self._keep, name="supervisor", daemon=True)

    @property
    def posts(self) -> list[Post]:
        return [*self.upkeep, *self.workers]

    def open(self) -> None:
        self._keeper.start()

    def close(self) -> list[str]:
        """Send everybody home, workers first. Returns a sentence for each that would not go by itself."""
        self._closing.set()
        complaints = [*self._dismiss(self.workers), *self._dismiss(self.upkeep)]
        self._closed.set()
        self._keeper.join()
        return complaints

    def kill_everything(self) -> None:
        """The end of a suite that is broken off: take down whatever it has started."""
        self._closing.set()
        for process in self.everybody():
            with suppress(psutil.Error):
                process.kill()

    def everybody(self) -> list[psutil.Process]:
        """Every process that stems from this scene, whoever its parent is by now: known by its environment."""
        mark, found = str(os.getpid()), []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("CHAOS_SCENE") == mark:
                    found.append(process)
        return found

    def _keep(self) -> None:
        # On one thread that outlives them all: the kernel takes its end for the end of their parent.
        while not self._closed.wait(0.1):
            for post in self.posts:
                if self._closing.is_set() or post.is_up:
                    continue
                if post.process is not None and not post.ended_at:
                    post.ended_at = time.monotonic()
                    post.exit_codes.append(post.process.returncode)
                if post.process is None or time.monotonic() - post.ended_at >= CRASH_PAUSE:
                    self._start(post)

    def _start(self, post: Post) -> None:
        clock = BASE / "tests" / "chaos" / "clock"
        with (self._var / "log" / f"{post.name}.log").open("ab") as log:
            post.process = psutil.Popen(
                [sys.executable, str(BASE / "manage.py"), *post.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=BASE,
                env={
                    **os.environ,
                    "TMPDIR": str(self._var / "tmp"),
                    "PYTHONPATH": os.pathsep.join(map(str, (clock, BASE, BASE / "platform"))),
                    "CHAOS_CLOCK": str(post.clock),
                    "CHAOS_SCENE": str(os.getpid()),
                },
                start_new_session=True,  # Ctrl-C is the suite's
            )
        post.starts += 1
        post.ended_at = 0.0

    @staticmethod
    def _dismiss(posts: list[Post]) -> list[str]:
        complaints = []
        for post in posts:
            if post.process is not None and post.is_up:
                post.process.send_signal(signal.SIGCONT)
                post.process.terminate()
        deadline = time.monotonic() + STOP_TIMEOUT
        for post in posts:
            if post.process is None:
                continue
            try:
                code = post.process.wait(max(0.1, deadline - time.monotonic()))
            except psutil.TimeoutExpired:
                complaints.append(f"{post.name} did not end within {STOP_TIMEOUT:g} s of SIGTERM")
            else:
                if code:
                    complaints.append(f"{post.name} ended with {code} at SIGTERM, and not in good order")
        return complaints


def _worker_plans(count: int, families: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """One of each kind, then more of those for several lanes."""
    kinds = [
        ("still", "paid,free,batch"),
        ("preview", "paid,free,batch"),
        *((family, "paid,free,batch") for family in families),
        ("still", "free,batch"),
        ("still", "paid"),
    ]
    for number in range(count):
        model, tiers = kinds[number] if number < len(kinds) else kinds[0]
        yield ("worker", "--model", model, "--lanes", tiers)
