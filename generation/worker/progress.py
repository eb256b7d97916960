"""Telling how far the engine is, without ever making it wait for Redis or the database."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from django.db import Error, close_old_connections

from generation import attempts, live
from generation.models import Job
from generation.worker.leases import PARTING, Hold

log = logging.getLogger(__name__)

LIVE_INTERVAL = 0.1
"""Seconds between progress messages to listeners."""
DURABLE_INTERVAL = 1.0
"""Seconds between progress writes to the database."""


@dataclass(frozen=True, slots=True)
class _News:
    job: Job
    done: int
    total: int


class ProgressTeller:
    """Tells listeners of the newest step, and the database now and then, in a thread of its own.

    Steps that come while it waits for Redis or the database are passed over: only the newest counts.
    """

    def __init__(self) -> None:
        self._newest: _News | None = None
        self._notes: deque[tuple[Hold, Callable[[], object]]] = deque()
        self._unwritten: _News | None = None
        self._written_at = 0.0
        self._arrived = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._arrived.set()
        if self._thread.is_alive():  # a worker that is stopped early has not started it
            self._thread.join(PARTING)

    def tell(self, job: Job, done: int, total: int) -> None:
        """So many steps of so many are done."""
        self._newest = _News(job, done, total)
        self._arrived.set()

    def note(self, hold: Hold, call: Callable[[], object]) -> None:
        """Tell the database something else, patiently; what the attempt may not say any more is left out."""
        self._notes.append((hold, call))
        self._arrived.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            # What is not written yet is written when its time has come, even if no other step follows.
            if self._arrived.wait(DURABLE_INTERVAL if self._unwritten else None):
                self._arrived.clear()
                while self._notes:
                    hold, call = self._notes.popleft()
                    with suppress(attempts.Lost):
                        hold.insist(call)
                if (news := self._newest) is not None:
                    self._unwritten = news
                    _tell_listeners(news)
            self._write()
            self._stopped.wait(LIVE_INTERVAL)

    def _write(self) -> None:
        if (news := self._unwritten) is None or time.monotonic() - self._written_at < DURABLE_INTERVAL:
            return
        self._unwritten, self._written_at = None, time.monotonic()
        try:
            attempts.note_progress(news.job, news.done / news.total)
        except Error as error:
            log.debug("job %s: its progress was not written: %s", news.job.pk, error)
        finally:
            close_old_connections()


def _tell_listeners(news: _News) -> None:
    live.publish(
        news.job.pk,
        {"type": "progress", "progress": news.done / news.total, "step": news.done, "steps": news.total},
    )
