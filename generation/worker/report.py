"""The worker's row: what it is and what it does, kept up to date from a thread of its own."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import Error, close_old_connections
from django.db.models import Subquery
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now

from generation.models import Job, Worker
from generation.scheduling import flows
from generation.worker import gpu
from generation.worker.identity import Identity
from mutoscope import __version__

log = logging.getLogger(__name__)

PAUSE = 0.5
"""Seconds between two reports at least, however fast jobs come and go."""

State = Worker.State


class Reporter:
    """Tells the database what this worker is and does, every `WORKER_REPORT_INTERVAL` and when its state changes.

    A database that is away costs nothing but reports. The way back, an operator's order to drain, comes with each
    report: then this process gets the SIGTERM that stops any worker.
    """

    def __init__(self, identity: Identity, is_draining: Callable[[], bool] = lambda: False) -> None:
        """`is_draining` is asked with each report: a signal handler cannot tell us, it must not wait for locks."""
        self.identity = identity
        self._was_asked_to_drain = is_draining
        self._began = time.monotonic()
        self._guard = threading.Lock()
        self._now: dict[str, Any] = {"state": State.LOADING, "step": 0, "steps": 0, "last_error": ""}
        self._job: Job | None = None
        self._engine_starts = 0
        self._claimed_at: float | None = None
        self._is_draining = False
        self._is_heard = True
        self._is_introduced = False
        self._has_opened = False
        self._changed = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="report", daemon=True)

    def start(self) -> None:
        """The worker exists, and loads its model."""
        self._thread.start()

    def engine_started(self) -> None:
        """The engine is up, loaded and warm: for the first time or again."""
        self._engine_starts += 1
        if self._job is None:
            self._is_now(State.IDLE)

    def engine_failed(self, reason: str) -> None:
        """The engine was killed, died, or could not be started."""
        self._note(last_error=reason)

    def claimed(self) -> None:
        """The worker has asked for a job just now, whether or not one waited: it is not deaf."""
        self._claimed_at = time.monotonic()

    def working(self, job: Job) -> None:
        """The engine's job from now on."""
        self._job = job
        self._is_now(State.WORKING, step=0, steps=job.steps or 0)

    def step(self, done: int, total: int) -> None:
        """The engine has done so many steps of its job. Written with the next report: steps are fast."""
        with self._guard:
            self._now |= {"step": done, "steps": total}

    def idle(self) -> None:
        """The engine has no job."""
        self._job = None
        self._is_now(State.IDLE, step=0, steps=0)

    def draining(self) -> None:
        """The worker claims no more: it ends what it has in hand, and stops."""
        self._is_draining = True
        self._is_now(State.DRAINING)

    def stopped(self) -> None:
        """The worker ends in good order. Returns when that is written, or could not be."""
        if self._ended.is_set():
            return
        self._job = None
        with self._guard:
            self._now |= {"state": State.STOPPED, "step": 0, "steps": 0}
        self._ended.set()
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join()
        self.report()

    def report(self) -> None:
        """Write the row now, with the database's time; obey a drain that an operator asked for."""
        if self._was_asked_to_drain() and not self._is_draining:
            self.draining()
        try:
            self._open_lanes()  # before the row says that it is idle
            self._write()
            asked = Worker.objects.exclude(drain_requested_at=None).filter(pk=self.identity.name).exists()
        except Error as error:
            if self._is_heard:
                log.warning("the worker cannot report itself, and tries on: %s", error)
            self._is_heard = False
            return
        if not self._is_heard:
            log.info("the worker reports itself again")
        self._is_heard = True
        if asked and not self._is_draining and not self._ended.is_set():
            log.info("an operator asked this worker to drain")
            self.draining()
            os.kill(os.getpid(), signal.SIGTERM)

    def _run(self) -> None:
        interval = settings.WORKER_REPORT_INTERVAL.total_seconds()
        while not self._ended.is_set():
            self.report()
            close_old_connections()
            self._ended.wait(min(PAUSE, interval))
            self._changed.wait(max(0.0, interval - PAUSE))
            self._changed.clear()

    def _is_now(self, state: Worker.State, **changes: Any) -> None:
        self._note(state=State.DRAINING if self._is_draining else state, **changes)

    def _note(self, **changes: Any) -> None:
        with self._guard:
            self._now |= changes
        self._changed.set()

    def _write(self) -> None:
        with self._guard:
            now = dict(self._now)
        own = self.identity.gpu
        now |= {
            "pid": os.getpid(),
            "engine_starts": self._engine_starts,
            # Looked up, as the job may have gone with its workspace.
            "job_id": Subquery(Job.objects.filter(pk=self._job.pk).values("pk")) if self._job else None,
            "vram_used_mib": gpu.in_use(own.index) if own else None,
            "seen_at": Now(),
        }
        if self._claimed_at is not None:
            now["last_claim_at"] = _ago(self._claimed_at)
        mine = Worker.objects.filter(pk=self.identity.name)
        if self._is_introduced and mine.update(**now):
            return
        # At the start, where another process may have had the name before; or the row was forgotten while the
        # database was out of reach.
        who = self._who()
        if not mine.update(**{**who, **now}):
            Worker.objects.create(name=self.identity.name, pid=os.getpid(), seen_at=Now(), **who)
            mine.update(**now)
        self._is_introduced = True

    def _open_lanes(self) -> None:
        """Note for good that a worker with a warm engine has stood ready for these lanes: the model is offered."""
        if self._engine_starts and not self._has_opened:
            flows.open_lanes([str(lane) for lane in self.identity.lanes])
            self._has_opened = True

    def _who(self) -> dict[str, Any]:
        who = self.identity
        return {
            "host": who.host,
            "gpu": who.gpu_index,
            "gpu_name": who.gpu.name if who.gpu else "",
            "vram_total_mib": who.gpu.total_mib if who.gpu else None,
            "model": who.model,
            "precision": who.precision,
            "lanes": [str(lane) for lane in who.lanes],
            "is_spot": who.is_spot,
            "version": __version__,
            "started_at": _ago(self._began),
            "last_claim_at": None,
        }


def _ago(moment: float) -> CombinedExpression:
    """A moment of this process's own clock, as the database's clock has it."""
    return Now() - timedelta(seconds=time.monotonic() - moment)
