"""Checkpoints on their way to the storage and back, so that the next attempt goes on where this one stopped.

A checkpoint is the file `checkpoints/JOB/ATTEMPT-STEP` in the default storage; the job names the one that counts.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from django.core.files import File
from django.core.files.storage import default_storage
from django.db import close_old_connections

from generation import attempts
from generation.engines.base import Checkpoint, EngineError
from generation.models import Job
from generation.retention import checkpoint_folder
from generation.worker.leases import Hold
from generation.worker.patience import patiently

log = logging.getLogger(__name__)


def fetch(hold: Hold, folder: Path) -> Checkpoint | None:
    """What the attempt before has left, as a local file; None where there is nothing.

    One that is missing in the storage is dropped. Raises `attempts.Lost`, or `EngineError` (machine).
    """
    name = hold.job.checkpoint
    if not name:
        return None
    target = folder / "checkpoint"

    def copy() -> None:
        with default_storage.open(name, "rb") as source, target.open("wb") as file:
            shutil.copyfileobj(source, file)

    try:
        patiently(copy, wanted=hold.is_certain, what="a checkpoint")
    except FileNotFoundError:
        log.warning("job %s: its checkpoint %s is gone; it begins anew", hold.job.pk, name)
        drop(hold)
        return None
    return Checkpoint(hold.job.checkpoint_step, target)


def drop(hold: Hold) -> None:
    """Have the job begin anew. Raises `attempts.Lost`."""
    name = hold.job.checkpoint
    hold.insist(lambda: attempts.drop_checkpoint(hold.job))
    _discard(name)


@dataclass(frozen=True, slots=True)
class _Written:
    hold: Hold
    step: int
    file: Path


class CheckpointKeeper:
    """Stores checkpoints in a thread of its own. Where several wait, the newest is stored and no other."""

    def __init__(self) -> None:
        self._waiting: _Written | None = None
        self._busy = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def keep(self, hold: Hold, step: int, file: Path) -> None:
        """Store a checkpoint that the engine has written; the file is removed afterwards."""
        with self._changed:
            passed_over, self._waiting = self._waiting, _Written(hold, step, file)
            self._changed.notify_all()
        if passed_over:
            passed_over.file.unlink(missing_ok=True)

    def settle(self, until: float) -> bool:
        """Wait until what was to be stored is, `time.monotonic()` at most `until`. Returns whether it is."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not (self._waiting or self._busy), max(0.0, until - time.monotonic())
            )

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting is not None)
                written, self._waiting = self._waiting, None
                self._busy = True
            try:
                if written:
                    self._store(written)
            except (attempts.Lost, EngineError, OSError) as error:
                log.warning("a checkpoint was not stored: %s", error)
            except Exception:
                log.exception("a checkpoint was not stored")
            finally:
                close_old_connections()
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()

    def _store(self, written: _Written) -> None:
        hold, job, before = written.hold, written.hold.job, written.hold.job.checkpoint
        wanted_name = f"{checkpoint_folder(job.pk)}/{job.attempt}-{written.step}"

        def store() -> str:
            try:
                with written.file.open("rb") as source:
                    return default_storage.save(wanted_name, File(source))
            except BaseException:
                _discard(wanted_name)  # a part of it may be there
                raise

        name = patiently(store, wanted=lambda: hold.is_certain() and not self._waiting, what="a checkpoint")
        written.file.unlink(missing_ok=True)
        try:
            hold.insist(lambda: attempts.keep_checkpoint(job, name, written.step))
        except attempts.Lost:
            _discard(name)
            raise
        _discard(before)
        log.info("job %s: it can go on after step %d from now on", job.pk, written.step)


def describe(job: Job, total: int) -> str:
    """Where the job goes on, for people."""
    if not job.checkpoint:
        return "it begins anew"
    return f"it goes on after step {job.checkpoint_step} of {total}"


def _discard(name: str) -> None:
    """Remove a file from the storage, if it is there. What cannot be removed is swept when the job has ended."""
    if not name:
        return
    try:
        default_storage.delete(name)
    except Exception as error:  # noqa: BLE001  each kind of storage has errors of its own
        log.warning("the checkpoint %s could not be removed: %s", name, error)
