"""The worker's life: take a ticket, claim, see the job through; keep the engine sound; end politely."""

from __future__ import annotations

import logging
import os
import queue
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings

from generation import attempts, catalog, tickets
from generation.claims import Claimant, claim_for_ticket
from generation.engines.base import EngineError
from generation.engines.frames import FrameRing
from generation.lanes import Lane
from generation.worker.attempt_run import AttemptRun, Station
from generation.worker.checkpoints import CheckpointKeeper
from generation.worker.drain import Drain
from generation.worker.engine_process import EngineProcess
from generation.worker.leases import Hold, LeaseKeeper
from generation.worker.memory import DriftWatch
from generation.worker.progress import ProgressTeller
from generation.worker.scratch import Scratch
from mutoscope.celery import stop_consuming

log = logging.getLogger(__name__)

IN_HAND = 2
"""Jobs a worker may hold: one in the engine, one in the finish stage."""
RESTART_PAUSES = (0.0, 1.0, 3.0, 10.0, 30.0)
"""Seconds before each try to start an engine again. After the last the worker gives up, and ends."""
SWEEP_INTERVAL = 600.0
"""Seconds between looks for what dead workers of this machine have left."""
UNHEARD_ROUNDS = 3
"""Rounds of recovery without a ticket after which an idle worker looks for work itself."""


class Runtime:
    """What this worker process holds: its model's engine, its leases, its finish stage."""

    def __init__(self, model: str, lanes: Sequence[Lane], scratch: Path | None = None) -> None:
        self.model = catalog.models()[model]
        self.lanes = list(lanes)
        self.place = f"{socket.gethostname()}/cpu"
        self.name = f"{model}@{socket.gethostname()}:{os.getpid()}"
        self.drain = Drain()
        self.leases = LeaseKeeper()
        self.engine = EngineProcess(self.model)
        self.station = Station(self.engine, self.leases, ProgressTeller(), CheckpointKeeper(), self.drain)
        self._scratch = Scratch(scratch)
        self._drift = DriftWatch(self.model.supervision.memory_growth_mib)
        self._room = threading.BoundedSemaphore(IN_HAND)
        self._to_finish: queue.SimpleQueue[AttemptRun] = queue.SimpleQueue()
        self._in_hand: set[AttemptRun] = set()
        # A daemon: what hangs in it when the grace is over must not keep the process.
        self._finisher = threading.Thread(target=self._finish_all, name="finish", daemon=True)
        self._swept_at = self._heard_at = float("-inf")

    def start(self) -> None:
        """Load and warm the engine. Raises `EngineError`."""
        self._sweep()
        self.leases.start()
        self.station.progress.start()
        self.station.checkpoints.start()
        self._finisher.start()
        self.engine.start(wanted=lambda: not self.drain.asked)
        self._heard_at = time.monotonic()

    def stop(self) -> None:
        """Let the finish stage end what it has, within the grace; give the rest back; end the engine."""
        self.drain.ask()
        while self._in_hand and time.monotonic() < self.drain.deadline:
            time.sleep(0.05)
        for run in list(self._in_hand):
            log.warning("job %s: the finish stage has not ended in time", run.job.pk)
            run.give_back_drained()
        self.leases.stop()
        self.station.progress.stop()
        self.engine.stop(timeout=2.0)
        self._scratch.close()

    def serve(self, lane_name: str) -> None:
        """A ticket: claim one job of the lane and see it through the engine; the finish stage goes on by itself.

        When it returns the engine is ready for the next one, or the worker is about to end.
        """
        lane = Lane.parse(lane_name)
        if not self._has_room():
            tickets.issue(lane_name)  # for a worker that goes on
            return
        self._serve(lane)
        self.keep_engine()
        self._heard_at = time.monotonic()

    def tick(self) -> None:
        """Called every second while no job is in the engine: keep everything sound that nobody asks for."""
        if self.drain.asked:
            return
        self.keep_engine()
        self._sweep()
        patience = UNHEARD_ROUNDS * settings.RECOVERY_INTERVAL.total_seconds()
        if time.monotonic() - self._heard_at > patience:
            # Tickets are made again every round while jobs wait: either none do, or this worker is deaf.
            self._heard_at = time.monotonic()
            for lane in self.lanes:
                if self._has_room() and self._serve(lane):
                    log.warning("a job waited in %s, but no ticket had come for %g s", lane, patience)
                    self.keep_engine()

    def keep_engine(self) -> None:
        """Have the engine loaded and warm before the next ticket is taken, however often it must be started.

        After so many failures in a row that another try is hopeless, the worker ends, for whoever supervises it.
        """
        if self.engine.pid is not None and self._drift.has_drifted(self.engine.pid):
            log.warning("the engine has grown too much since its first job; it is started again")
            self.engine.stop()
        for pause in RESTART_PAUSES:
            if self.engine.pid is not None or self.drain.asked:
                return
            self.drain.sleep(pause)
            try:
                self.engine.start(wanted=lambda: not self.drain.asked)
            except EngineError as error:
                log.error("%s cannot be started, so its jobs wait: %s", self.model.name, error.message)
        if self.engine.pid is None and not self.drain.asked:
            self.drain.ask()
            stop_consuming(exitcode=1)

    def _has_room(self) -> bool:
        """Wait for a place in this worker's hands. Returns whether there is one; not when it is to stop."""
        while not self.drain.asked:
            if self._room.acquire(timeout=0.2):
                return True
        return False

    def _serve(self, lane: Lane) -> bool:
        """See one job of the lane through the engine, if one waits; the place for it is taken already."""
        before = time.monotonic()
        job = None
        try:
            job = claim_for_ticket(lane, self.lanes, Claimant(self.name, self.place))
        finally:
            if job is None:
                self._room.release()
        if job is None:
            return False
        log.info("job %s: attempt %d begins", job.pk, job.attempt)
        hold = Hold(job, since=before)
        self.leases.add(hold)
        if (run := self._begin(hold)) is not None:
            run.run_engine()
        return True

    def _begin(self, hold: Hold) -> AttemptRun | None:
        """The attempt, with room for its files and frames, and with the finish stage waiting for them."""
        job = hold.job
        try:
            folder = self._scratch.for_attempt()
            ring = FrameRing.create(job.width, job.height, job.frames)
        except OSError as error:
            self.leases.drop(hold)
            self._room.release()
            message = f"the worker has no room for the job's frames: {error}"
            hold.insist(lambda: attempts.give_back(job, "no_room", message, blame="machine"))
            return None
        run = AttemptRun(self.station, hold, ring, folder)
        self._in_hand.add(run)
        self._to_finish.put(run)
        return run

    def _finish_all(self) -> None:
        while True:
            run = self._to_finish.get()
            try:
                run.finish()
            except Exception:
                log.exception("job %s: the finish stage failed", run.job.pk)
            finally:
                self._in_hand.discard(run)
                self._room.release()

    def _sweep(self) -> None:
        if time.monotonic() - self._swept_at > SWEEP_INTERVAL:
            self._swept_at = time.monotonic()
            self._scratch.sweep()


_current: list[Runtime] = []


def make_current(runtime: Runtime) -> None:
    """This process's runtime from now on: what the tickets' task uses."""
    _current[:] = [runtime]


def current() -> Runtime:
    """This worker process's runtime. Raises RuntimeError in a process that is no worker."""
    if not _current:
        raise RuntimeError("tickets are for workers, and this process was not started by `manage.py worker`")
    return _current[0]
