"""The worker's life: take a ticket, claim, see the job through; keep the engine sound; end politely."""

from __future__ import annotations

import logging
import queue
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import close_old_connections

from generation import attempts, catalog
from generation.engines.base import EngineError
from generation.engines.frames import FrameRing
from generation.scheduling import tickets
from generation.scheduling.claims import Claimant, claim
from generation.scheduling.lanes import Lane
from generation.worker import gpu
from generation.worker.attempt_run import AttemptRun, Station
from generation.worker.checkpoints import CheckpointKeeper
from generation.worker.drain import Drain
from generation.worker.engine_process import EngineProcess
from generation.worker.identity import Identity
from generation.worker.leases import UNREACHABLE, Hold, LeaseKeeper
from generation.worker.memory import DriftWatch, growth_allowed
from generation.worker.progress import ProgressTeller
from generation.worker.readahead import read_ahead
from generation.worker.report import Reporter
from generation.worker.scratch import Scratch
from generation.worker.setup import setup_of
from mutoscope.celery import stop_consuming

log = logging.getLogger(__name__)

IN_HAND = 3
"""Jobs a worker may hold: one in the finish stage, one in the engine, and one for the moment it is free."""
MEASURE_INTERVAL = 5.0
"""Seconds at least between looks at how much memory the engine holds."""
RESTART_PAUSES = (0.0, 1.0, 3.0, 10.0, 30.0)
"""Seconds before each try to start an engine again. After the last the worker gives up, and ends."""
SWEEP_INTERVAL = 600.0
"""Seconds between looks for what dead workers of this machine have left."""
LAST_WORDS = 2.0
"""Seconds after the grace in which what was cut off is given back."""
UNHEARD_ROUNDS = 3
"""Rounds of recovery without a ticket after which an idle worker looks for work itself."""


class Runtime:
    """What this worker process holds: its model's engine, its leases, its finish stage."""

    def __init__(self, identity: Identity, scratch: Path | None = None) -> None:
        self.identity = identity
        self.model = catalog.models()[identity.model]
        self.lanes = list(identity.lanes)
        self.name = identity.name
        gpu_name = identity.gpu.name if identity.gpu else ""
        self._claimant = Claimant(
            identity.name, identity.place, gpu_name, identity.precision, is_spot=identity.is_spot
        )
        self.drain = Drain()
        self.reporter = Reporter(identity, is_draining=lambda: self.drain.asked)
        self.leases = LeaseKeeper()
        self.engine = EngineProcess(self.model, setup_of(self.model, identity.memory_plan))
        self.station = Station(
            self.engine, self.leases, ProgressTeller(), CheckpointKeeper(), self.drain, self.reporter
        )
        self._scratch = Scratch(scratch)
        self._drift = DriftWatch(
            growth_allowed(self.model),
            partial(gpu.used_by, identity.gpu.index) if identity.gpu else None,
        )
        self._room = threading.BoundedSemaphore(IN_HAND)
        self._to_finish: queue.SimpleQueue[AttemptRun] = queue.SimpleQueue()
        self._in_hand: set[AttemptRun] = set()
        self._to_run: queue.SimpleQueue[AttemptRun] = queue.SimpleQueue()
        self._engine_guard = threading.Lock()
        # Daemons: what hangs in them when the grace is over must not keep the process.
        self._threads = [
            threading.Thread(target=self._run_all, name="engine", daemon=True),
            threading.Thread(target=self._finish_all, name="finish", daemon=True),
        ]
        self._swept_at = self._heard_at = self._measured_at = float("-inf")

    def start(self) -> None:
        """Load and warm the engine. Raises `EngineError`. Whatever breaks it off, `stop` is to follow."""
        self._scratch.open()
        read_ahead(self.engine.setup)
        self.reporter.start()
        self._sweep()
        self.leases.start()
        self.station.progress.start()
        self.station.checkpoints.start()
        for thread in self._threads:
            thread.start()
        with self._engine_guard:
            self._start_engine()
        self._heard_at = time.monotonic()

    def stop(self) -> None:
        """Let what is in hand end within the grace; give the rest back; end the engine."""
        try:
            self._stop()
        finally:  # another worker would find it, but on this machine there may be none for long
            self._scratch.close()
        self.reporter.stopped()

    def _stop(self) -> None:
        self.drain.ask()
        self.reporter.draining()
        # The engine's thread kills an engine that has not stopped by then, and gives its job back.
        while self._in_hand and time.monotonic() < self.drain.deadline + LAST_WORDS:
            time.sleep(0.05)
            if time.monotonic() >= self.drain.deadline and all(run.engine_over.is_set() for run in self._in_hand):
                break
        for run in list(self._in_hand):
            log.warning("job %s: it has not ended in time", run.job.pk)
            run.give_back_drained()
        self.leases.stop()
        self.station.progress.stop()
        self.engine.stop(timeout=2.0)

    def serve(self, lane_name: str) -> None:
        """A ticket: claim one job of the lane and hand it to the engine; the finish stage goes on by itself.

        Returns when the engine is ready for the next one, or will be in a moment: no ticket is taken before, so
        that none lies here while another worker is free.
        """
        lane = Lane.parse(lane_name)
        if not self._has_room():
            tickets.issue(lane_name)  # for a worker that goes on
            return
        self._serve(lane)
        self._heard_at = time.monotonic()

    def tick(self) -> None:
        """Called every second while no job is in the engine: keep everything sound that nobody asks for."""
        if self.drain.asked:
            return
        self._mend()
        self._sweep()
        patience = UNHEARD_ROUNDS * settings.RECOVERY_INTERVAL.total_seconds()
        if time.monotonic() - self._heard_at > patience:
            # Tickets are made again every round while jobs wait: either none do, or this worker is deaf.
            self._heard_at = time.monotonic()
            self._look_for_work()

    def _look_for_work(self) -> None:
        """Claim without a ticket."""
        try:
            if self._has_room() and self._serve():
                log.warning("a job waited, but no ticket had come")
        except UNREACHABLE as error:
            log.warning("the database is away: %s", error)
        finally:
            close_old_connections()

    def _mend(self) -> None:
        """Keep the engine sound while it is idle."""
        if self._engine_guard.acquire(blocking=False):  # else its own thread looks after it
            try:
                self._keep_engine()
            finally:
                self._engine_guard.release()

    def _keep_engine(self) -> None:
        """Have the engine loaded and warm before the next ticket is taken, however often it must be started.

        After so many failures in a row that another try is hopeless, the worker ends, for whoever supervises it.
        """
        if self._has_drifted():
            log.warning("the engine has grown too much since its first job; it is started again")
            self.engine.stop()
        if self.engine.pid is None:
            self._call_off_prepared()
        for pause in RESTART_PAUSES:
            if self.engine.pid is not None or self.drain.asked:
                return
            self.drain.sleep(pause)
            try:
                self._start_engine()
            except EngineError as error:
                log.error("%s cannot be started, so its jobs wait: %s", self.model.name, error.message)
        if self.engine.pid is None and not self.drain.asked:
            self.drain.ask()
            stop_consuming(exitcode=1)

    def _start_engine(self) -> None:
        try:
            self.engine.start(wanted=lambda: not self.drain.asked)
        except EngineError as error:
            self.reporter.engine_failed(error.message)
            raise
        self.reporter.engine_started()

    def _call_off_prepared(self) -> None:
        """What was to come next need not wait here for an engine that must load first."""
        with suppress(queue.Empty):
            while True:
                self._to_run.get_nowait().call_off("the engine had to be started again")

    def _has_drifted(self) -> bool:
        pid = self.engine.pid
        if pid is None or time.monotonic() - self._measured_at < MEASURE_INTERVAL:
            return False
        self._measured_at = time.monotonic()
        return self._drift.has_drifted(pid)

    def _has_room(self) -> bool:
        """Wait for an engine and a place in this worker's hands. Returns False when it is to stop."""
        while not self.drain.asked:
            if self.engine.pid is None:
                self._mend()
                self.drain.sleep(0.1)
            elif self._room.acquire(timeout=0.2):
                return True
        return False

    def _serve(self, ticket: Lane | None = None) -> bool:
        """Claim one job of the lanes and see to it that the engine gets it; the place for it is taken already.

        Returns whether there was one, once the engine is ready for the next or nearly so.
        """
        before = time.monotonic()
        job = None
        try:
            job = claim(self.lanes, self._claimant, ticket=ticket)
        finally:
            if job is None:
                self._room.release()
        self.reporter.claimed()
        if job is None:
            return False
        log.info("job %s: attempt %d begins", job.pk, job.attempt)
        hold = Hold(job, since=before)
        self.leases.add(hold)
        run = self._begin(hold)
        if run is not None and run.prepare():
            self._to_run.put(run)
            while not (run.engine_over.wait(0.02) or self.drain.asked or run.is_nearly_over()):
                pass
        return True

    def _begin(self, hold: Hold) -> AttemptRun | None:
        """The attempt, with room for its files and frames, and with the finish stage waiting for them."""
        job = hold.job
        try:
            folder = self._scratch.for_attempt()
            ring = FrameRing.create(job.engine_width, job.engine_height, job.engine_frames)
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

    def _run_all(self) -> None:
        while True:
            run = self._to_run.get()
            with self._engine_guard:
                self.reporter.working(run.job)
                try:
                    run.run_engine()
                    self._keep_engine()
                except Exception:
                    log.exception("job %s: the engine's side failed", run.job.pk)
                finally:
                    self.reporter.idle()
                    run.engine_over.set()
                    close_old_connections()

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
