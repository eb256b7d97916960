"""One job at a time from claim to clip: the engine on one thread, the finish stage on another."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from django.db import close_old_connections

from generation import attempts, catalog, live
from generation.claims import Claimant, claim_for_ticket
from generation.engines.base import Cancelled, EngineError, EngineRequest
from generation.engines.frames import FrameRing
from generation.lanes import Lane
from generation.models import Job
from generation.outputs.finish import make_clip
from generation.worker.engine_process import EngineProcess
from generation.worker.leases import LeaseKeeper
from generation.worker.stream import Abandoned, FrameStream

log = logging.getLogger(__name__)

LIVE_INTERVAL = 0.1
"""Seconds between progress messages to listeners."""
DURABLE_INTERVAL = 1.0
"""Seconds between progress writes to the database."""
IN_HAND = 2
"""Jobs a worker may hold: one in the engine, one in the finish stage."""


class Runtime:
    """What this worker process holds: its model's engine, its leases, its finish stage."""

    def __init__(self, model: str, lanes: Sequence[Lane]) -> None:
        self.model = catalog.models()[model]
        self.lanes = lanes
        self.place = f"{socket.gethostname()}/cpu"
        self.name = f"{model}@{socket.gethostname()}:{os.getpid()}"
        self.engine = EngineProcess(self.model)
        self.leases = LeaseKeeper()
        self._finisher = ThreadPoolExecutor(1, thread_name_prefix="finish")
        self._room = threading.BoundedSemaphore(IN_HAND)

    def start(self) -> None:
        """Load and warm the engine. Raises `EngineError`."""
        self.engine.start()
        self.leases.start()

    def stop(self) -> None:
        """Let the finish stage end what it has, then end the engine."""
        self._finisher.shutdown()
        self.leases.stop()
        self.engine.stop()

    def serve(self, lane_name: str) -> None:
        """Claim one job of the lane and see it through the engine; the finish stage goes on by itself."""
        lane = Lane.parse(lane_name)
        self._room.acquire()
        job = None
        try:
            self.engine.start()  # again, where the last job took it down
            job = claim_for_ticket(lane, self.lanes, Claimant(self.name, self.place))
        except EngineError as error:
            log.error("%s cannot be started, so its jobs wait: %s", self.model.name, error.message)
        finally:
            if job is None:
                self._room.release()
        if job is not None:
            self._see_through(job)

    def _see_through(self, job: Job) -> None:
        log.info("job %s: attempt %d begins", job.pk, job.attempt)
        try:
            scratch = Path(tempfile.mkdtemp(prefix="mutoscope-"))
            ring = FrameRing.create(job.width, job.height, job.frames)
        except OSError as error:
            self._room.release()
            attempts.give_back(job, "no_room", f"the worker has no room for the job's frames: {error}")
            raise
        self.leases.hold(job)
        serial = self.engine.next_serial
        stream = FrameStream(ring, job.frames, lambda count: self.engine.free_frames(serial, count))
        self._finisher.submit(self._finish, job, stream, scratch)
        try:
            self._generate(job, stream, scratch)
            stream.complete()
        except (Cancelled, attempts.Lost):
            log.info("job %s: attempt %d is no longer wanted", job.pk, job.attempt)
        except EngineError as error:
            log.warning("job %s: attempt %d failed: %s", job.pk, job.attempt, error.message)
            attempts.settle_error(job, error)
        except Exception as error:
            attempts.give_back(job, "worker_failed", f"the worker failed: {type(error).__name__}")
            raise
        finally:
            stream.abandon()  # without effect on a stream that is complete

    def _generate(self, job: Job, stream: FrameStream, scratch: Path) -> None:
        """Have the engine make all frames; the job is finishing afterwards."""
        request = _request(job, scratch)
        attempts.note_engine_started(job)
        recipe = self.engine.run(
            request,
            stream.ring,
            on_step=_progress_relay(job),
            on_frames=stream.written,
            is_wanted=lambda: not stream.rejected and attempts.is_held(job),
        )
        attempts.start_finishing(job, recipe)

    def _finish(self, job: Job, stream: FrameStream, scratch: Path) -> None:
        """The finish stage of one attempt, whatever may come: the next one must find everything in order."""
        try:
            make_clip(job, stream, scratch)
            log.info("job %s: succeeded", job.pk)
        except (Abandoned, attempts.Lost):
            log.info("job %s: attempt %d leaves no clip", job.pk, job.attempt)
        except EngineError as error:
            log.warning("job %s: attempt %d gave no clip: %s", job.pk, job.attempt, error.message)
            stream.reject()
            attempts.settle_error(job, error)
        except Exception as error:
            log.exception("job %s: the finish stage failed", job.pk)
            stream.reject()
            attempts.give_back(job, "finish_failed", f"the clip could not be finished: {type(error).__name__}")
        finally:
            stream.wait_for_engine()
            self.leases.drop(job)
            self._room.release()
            close_old_connections()
            shutil.rmtree(scratch, ignore_errors=True)
            stream.ring.close()


def _request(job: Job, scratch: Path) -> EngineRequest:
    """The job as the engine is asked for it, with its picture on local disk."""
    picture = None
    if job.picture is not None:
        if job.picture.deleted_at:
            raise EngineError("picture_deleted", "the picture was deleted before the job could begin", "user")
        picture = scratch / f"picture{Path(str(job.picture.file)).suffix}"
        with job.picture.file.open("rb") as source, picture.open("wb") as target:
            shutil.copyfileobj(source, target)
    return EngineRequest(
        mode=job.mode,
        prompt=job.prompt,
        negative_prompt=job.negative_prompt,
        image=picture,
        width=job.width,
        height=job.height,
        frames=job.frames,
        fps=job.fps,
        seed=job.seed,
        steps=job.steps,
        guidance=job.guidance,
    )


def _progress_relay(job: Job) -> Callable[[int, int], None]:
    """Tells listeners of each step, and the database now and then."""
    last_live = last_durable = 0.0

    def relay(done: int, total: int) -> None:
        nonlocal last_live, last_durable
        now = time.monotonic()
        if now - last_live >= LIVE_INTERVAL or done == total:
            last_live = now
            live.publish(job.pk, {"type": "progress", "progress": done / total, "step": done, "steps": total})
        if now - last_durable >= DURABLE_INTERVAL:
            last_durable = now
            attempts.note_progress(job, done / total)

    return relay


_current: list[Runtime] = []


def make_current(runtime: Runtime) -> None:
    """This process's runtime from now on: what the tickets' task uses."""
    _current[:] = [runtime]


def current() -> Runtime:
    """This worker process's runtime. Raises RuntimeError in a process that is no worker."""
    if not _current:
        raise RuntimeError("tickets are for workers, and this process was not started by `manage.py worker`")
    return _current[0]
