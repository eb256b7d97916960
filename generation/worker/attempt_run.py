"""One attempt from claim to clip: prepared on one thread, in the engine on the next, finished on a third."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import close_old_connections

from generation import attempts, catalog
from generation.catalog.schema import Preset
from generation.engines.base import Cancelled, Checkpoint, EngineError, EngineRequest, Preempted
from generation.engines.frames import FrameRing
from generation.engines.process import Checkpointing
from generation.models import Job
from generation.outputs.finish import make_clip
from generation.worker import adapters, checkpoints, inputs
from generation.worker.checkpoints import CheckpointKeeper
from generation.worker.drain import Drain, Outlook, Wish
from generation.worker.engine_process import EngineProcess
from generation.worker.leases import Hold, LeaseKeeper
from generation.worker.progress import ProgressTeller
from generation.worker.report import Reporter
from generation.worker.stream import Abandoned, FrameStream, Made

log = logging.getLogger(__name__)

TAIL = 2.0
"""Seconds from the last step to the published clip, until this worker has measured its own."""
BROKEN_GPU = frozenset({"out_of_memory", "gpu_failed"})
"""Codes of engine errors after which the engine's process is not to be trusted."""
AHEAD = 0.5
"""Seconds before the engine is free, by its own pace, at which the next job may be claimed and prepared."""


@dataclass(slots=True)
class Station:
    """What an attempt works with: this worker's engine and what keeps, tells and stores."""

    engine: EngineProcess
    leases: LeaseKeeper
    progress: ProgressTeller
    checkpoints: CheckpointKeeper
    drain: Drain
    reporter: Reporter
    tail: float = TAIL
    """Seconds from the last step to the published clip, as the latest job took."""
    engine_tail: float | None = None
    """Seconds from the last step to the last frame, as the latest job took; None before the first."""


class AttemptRun:
    """One attempt in this worker's hands."""

    def __init__(self, station: Station, hold: Hold, ring: FrameRing, folder: Path) -> None:
        self.station, self.hold, self.job = station, hold, hold.job
        self.folder = folder
        self._serial = 0
        self.stream = FrameStream(
            ring, self.job.engine_frames, lambda count: station.engine.free_frames(self._serial, count)
        )
        self.memory_plan = self.job.memory_plan or station.engine.setup.memory_plan
        self.outlook = Outlook(
            self.job.steps or self.job.engine_frames, station.engine.model.speed.seconds_per_step
        )
        self.first_step = 0
        self.engine_over = threading.Event()
        """Set when the engine has let go of the job, and stands ready for the next."""
        self._started = False
        self._checkpoint: Checkpoint | None = None
        self._sound: Path | None = None
        self._brought_sound: Path | None = None
        self._request: EngineRequest
        self._steps_ended_at = time.monotonic()

    # --- Before the engine is free: the worker's main thread -----------------------------------------------

    def prepare(self) -> bool:
        """Fetch what the engine needs. Returns whether it can begin; if not, the job is settled."""
        try:
            self._checkpoint = checkpoints.fetch(self.hold, self.folder)
            self._request = make_request(self.hold, self.folder, self.memory_plan)
            self._brought_sound = inputs.fetch(self.hold, self.job.sound, self.folder / "brought", what="sound")
        except attempts.Lost:
            log.info("job %s: attempt %d is no longer wanted", self.job.pk, self.job.attempt)
        except EngineError as error:
            self._settle_error(error)
        except Exception as error:
            log.exception("job %s: it could not be prepared", self.job.pk)
            self._give_back("worker_failed", f"the worker failed: {type(error).__name__}")
        else:
            return True
        self._never_begins()
        return False

    def call_off(self, why: str) -> None:
        """Return a job that the engine has not begun."""
        self._give_back_uncounted(why)
        self._never_begins()

    def _never_begins(self) -> None:
        self.stream.abandon()
        self.engine_over.set()

    def is_nearly_over(self) -> bool:
        """Whether the engine will be free within `AHEAD`, by the pace of this attempt and the latest tail.

        Never by an estimate: a job that is claimed too early lies here while another worker is free.
        """
        if not self._started or not self.outlook.is_measured or self.station.engine_tail is None:
            return False
        return self.outlook.ends_in(self.station.engine_tail) <= AHEAD

    # --- The engine's side: the engine's thread ---------------------------------------------------------------

    def run_engine(self) -> None:
        """Have the engine make all frames, or settle what becomes of the job."""
        try:
            if self.station.drain.asked:
                raise Preempted
            recipe = self._generate()
            now = time.monotonic()
            self.station.engine_tail = now - self._steps_ended_at
            self.stream.complete(Made(recipe, self._steps_done, now, self._brought_sound or self._sound))
        except (Cancelled, attempts.Lost):
            log.info("job %s: attempt %d is no longer wanted", self.job.pk, self.job.attempt)
        except Preempted:
            self._engine_ended()
            self.station.checkpoints.settle(self.station.drain.deadline)
            self.give_back_drained()
        except EngineError as error:
            if error.code in BROKEN_GPU:
                self.station.engine.kill()  # what state it is in is not known; it is started again
            if self.station.engine.pid is None:
                self.station.reporter.engine_failed(error.message)
            self._engine_ended()
            self._settle_error(error)
        except Exception as error:
            self._give_back("worker_failed", f"the worker failed: {type(error).__name__}")
            raise
        finally:
            self.stream.abandon()  # without effect on a stream that is complete

    def _generate(self) -> Mapping[str, Any]:
        try:
            return self._run(self._checkpoint)
        except EngineError as error:
            if error.code != "checkpoint_unreadable" or not self._checkpoint or self.stream.has_begun:
                raise
            log.warning("job %s: %s; it begins anew", self.job.pk, error.message)
            checkpoints.drop(self.hold)
            return self._run(None)

    def _run(self, checkpoint: Checkpoint | None) -> Mapping[str, Any]:
        self.first_step = self.outlook.done = checkpoint.step if checkpoint else 0
        self._serial = self.station.engine.next_serial
        checkpointing = Checkpointing(self.folder, settings.CHECKPOINT_INTERVAL.total_seconds())
        request = replace(self._request, checkpoint=checkpoint)
        return self.station.engine.run(request, self.stream.ring, checkpointing, self)

    def on_start(self) -> None:
        self._started = True
        after = self.hold.since_claim()

        def note() -> None:
            attempts.note_engine_started(
                self.job, memory_plan=self.memory_plan, first_step=self.first_step, after=after
            )

        self.station.progress.note(self.hold, note)  # the engine need not wait for the database

    @property
    def _steps_done(self) -> int:
        """Steps of this attempt alone."""
        return self.outlook.done - self.first_step

    def on_step(self, done: int, total: int) -> None:
        self.outlook.step(done, total)
        self._steps_ended_at = time.monotonic()
        self.station.progress.tell(self.job, done, total)
        self.station.reporter.step(done, total)

    def on_frames(self, written: int) -> None:
        self.stream.written(written)

    def on_checkpoint(self, step: int, file: Path) -> None:
        self.station.checkpoints.keep(self.hold, step, file)

    def on_sound(self, file: Path) -> None:
        self._sound = file

    def wish(self) -> Wish:
        if self.stream.rejected or not self.hold.is_certain():
            return Wish.CANCEL
        return self.station.drain.wish(self.outlook, self.station.tail)

    # --- The finish stage's side ------------------------------------------------------------------------------

    def finish(self) -> None:
        """The finish stage of the attempt, whatever may come: the next one must find everything in order."""
        job = self.job
        try:
            make_clip(self.hold, self.stream, self.folder)
            self.station.tail = time.monotonic() - self._steps_ended_at
            log.info("job %s: succeeded", job.pk)
        except (Abandoned, attempts.Lost):
            log.info("job %s: attempt %d leaves no clip", job.pk, job.attempt)
        except EngineError as error:
            self.stream.reject()
            self._settle_error(error)
        except Exception as error:
            log.exception("job %s: the finish stage failed", job.pk)
            self.stream.reject()
            self._give_back("finish_failed", f"the clip could not be finished: {type(error).__name__}")
        finally:
            self.stream.wait_for_engine()
            self.station.leases.drop(self.hold)
            close_old_connections()
            shutil.rmtree(self.folder, ignore_errors=True)
            self.stream.ring.close()

    # --- What becomes of the job ------------------------------------------------------------------------------

    def give_back_drained(self) -> None:
        """Return the job because this worker stops."""
        self._give_back_uncounted("the worker was stopped")

    def _give_back_uncounted(self, why: str) -> None:
        """Return the job for a reason that is nobody's fault, and counts against nobody."""
        message = f"{why}; {checkpoints.describe(self.job, self.outlook.total)}"
        self._settle(lambda: attempts.give_back(self.job, "worker_stopped", message, blame="", counts=False))
        self.hold.lost = True

    def _settle_error(self, error: EngineError) -> None:
        log.warning("job %s: attempt %d failed: %s", self.job.pk, self.job.attempt, error.message)
        self._settle(lambda: attempts.settle_error(self.job, error))

    def _give_back(self, code: str, message: str) -> None:
        self._settle(lambda: attempts.give_back(self.job, code, message, blame="ours"))

    def _engine_ended(self) -> None:
        if self._started:
            after = self.hold.since_claim()
            self._settle(lambda: attempts.note_engine_ended(self.job, steps=self._steps_done, after=after))

    def _settle(self, call: Callable[[], object]) -> None:
        """Tell the database, as long as there is a point in it: recovery does what cannot be said any more."""
        try:
            self.hold.insist(call)
        except attempts.Lost:
            log.warning("job %s: attempt %d is left to recovery", self.job.pk, self.job.attempt)


def make_request(hold: Hold, folder: Path, memory_plan: str) -> EngineRequest:
    """The job as the engine is asked for it, with its pictures on local disk.

    Raises `EngineError`, and `attempts.Lost` where that takes too long.
    """
    job = hold.job
    preset = _preset(job)
    return EngineRequest(
        mode=job.mode,
        prompt=job.prompt,
        negative_prompt=job.negative_prompt,
        image=inputs.fetch(hold, job.picture, folder / inputs.FIRST),
        last_image=inputs.fetch(hold, job.last_picture, folder / inputs.LAST),
        width=job.engine_width,
        height=job.engine_height,
        frames=job.engine_frames,
        fps=job.fps,
        seed=job.seed,
        steps=job.steps,
        guidance=job.guidance,
        memory_plan=memory_plan,
        step_cache=preset.step_cache if preset else "",
        options=preset.options if preset else {},
        adapters=adapters.fetch(hold),
    )


def _preset(job: Job) -> Preset | None:
    if not job.preset:
        return None
    model = catalog.models().get(job.model)
    preset = model.preset(job.preset) if model else None
    if preset is None:
        raise EngineError("preset_gone", f"the preset {job.preset} is no longer in the catalog", "ours")
    return preset
