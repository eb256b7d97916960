"""`fleet up`: keeps one host's workers running, and leaves alone those that an operator has drained."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable
from types import FrameType

from django.conf import settings
from django.db import Error, close_old_connections

from generation import workers
from generation.models import Worker
from mutoscope import supervise
from mutoscope.operations.fleet.file import FleetError, Slot
from mutoscope.supervise import Kept

TICK = 0.2
"""Seconds between looks at the processes."""
LOOK = 2.0
"""Seconds between looks at whether a drained worker may run again."""
MARGIN = 15.0
"""Seconds beyond `WORKER_GRACE` that a worker may take to end: its last clip, its engine."""


class Foreman:
    """The workers of one host, as processes of this one.

    `read` gives what is to run, now and again at SIGHUP; it may raise `FleetError`. `say` tells the operator.
    """

    def __init__(self, host: str, read: Callable[[], list[Slot]], say: Callable[[str], None]) -> None:
        self._host, self._read, self._say = host, read, say
        self._kept: dict[Slot, Kept] = {}
        self._drained: set[str] = set()
        self._looked_at = 0.0
        self._leaving: list[tuple[subprocess.Popen[bytes], float]] = []
        self._is_to_stop = threading.Event()
        self._is_to_reread = False

    def run(self) -> None:
        """Keep the workers running until SIGTERM or Ctrl-C, then drain them all. Raises `FleetError`."""
        self._take_on(self._read())
        self._lift_drains()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_reread)
        try:
            while not self._is_to_stop.wait(TICK):
                if self._is_to_reread:
                    self._reread()
                self._tend()
        finally:
            self._stop()

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self._is_to_stop.set()

    def _on_reread(self, number: int, frame: FrameType | None) -> None:
        self._is_to_reread = True

    def _tend(self) -> None:
        """One look at everything: who has died, who is to start, who has taken too long to leave."""
        for slot, kept in self._kept.items():
            reason = kept.death()
            if reason is not None:
                self._look_for_drains()
                self._tell_death(slot, kept, reason)
        if any(kept.is_due for kept in self._kept.values()):
            self._look_for_drains(at_most_every=LOOK if self._drained else TICK)
        for slot, kept in self._kept.items():
            if kept.is_due and slot.worker_name not in self._drained:
                kept.start()
                self._say(f"{slot.worker_name} starts; it logs to {supervise.log_path(kept.name)}")
        self._see_off()

    def _tell_death(self, slot: Slot, kept: Kept, reason: str) -> None:
        if slot.worker_name in self._drained:
            kept.begin_anew()
            self._say(f"{slot.worker_name} is drained, and stays so until `fleet drain --undo`")
        else:
            times = "once" if kept.deaths == 1 else f"{kept.deaths} times in a row"
            self._say(f"{slot.worker_name} ended ({reason}), {times}; it starts again in {kept.delay:.0f} s")

    def _take_on(self, slots: list[Slot]) -> None:
        for slot in slots:
            environment = {"WORKER_HOST": self._host}
            self._kept.setdefault(slot, Kept(f"fleet-{slot.name}", slot.arguments, environment))

    def _reread(self) -> None:
        """Start what is new in the file, drain what is gone from it or has changed."""
        self._is_to_reread = False
        try:
            slots = self._read()
        except FleetError as error:
            self._say("the file is not taken over:\n  " + "\n  ".join(error.problems))
            return
        for slot in [slot for slot in self._kept if slot not in slots]:
            process = self._kept.pop(slot).process
            self._say(f"{slot.worker_name} is no longer in the file so, and is drained")
            if process is not None:
                process.terminate()
                self._leaving.append((process, time.monotonic() + _patience()))
        self._take_on(slots)
        self._say(f"the file is taken over: {len(slots)} workers on {self._host}")

    def _see_off(self) -> None:
        for process, deadline in list(self._leaving):
            if process.poll() is not None or time.monotonic() > deadline:
                supervise.kill_group(process)
                self._leaving.remove((process, deadline))

    def _lift_drains(self) -> None:
        """Run anew, the operator wants them all."""
        names = [slot.worker_name for slot in self._kept]
        try:
            workers.lift_drain(Worker.objects.filter(pk__in=names))
        except Error as error:
            self._say(f"the database cannot be asked which workers are drained: {error}")
        finally:
            close_old_connections()

    def _look_for_drains(self, at_most_every: float = 0.0) -> None:
        """Ask who is not to run. While the database is away, what was known holds."""
        if time.monotonic() - self._looked_at < at_most_every:
            return
        names = {slot.worker_name for slot in self._kept}
        try:
            known = set(Worker.objects.filter(pk__in=names).values_list("pk", flat=True))
            # One that has been forgotten meanwhile has not been taken back.
            self._drained = workers.asked_to_drain(names) | (self._drained - known)
        except Error as error:
            self._say(f"the database cannot be asked which workers are drained: {error}")
        finally:
            close_old_connections()
            self._looked_at = time.monotonic()

    def _stop(self) -> None:
        running = [kept.process for kept in self._kept.values() if kept.process is not None]
        running += [process for process, _ in self._leaving]
        self._say(f"draining {len(running)} workers …")
        supervise.stop(running, patience=_patience())
        self._say("all workers are stopped")


def _patience() -> float:
    """Seconds that a worker gets from SIGTERM to SIGKILL."""
    return float(settings.WORKER_GRACE.total_seconds()) + MARGIN
