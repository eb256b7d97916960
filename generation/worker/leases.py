"""Keeping the leases of everything this worker holds, from a thread of its own."""

from __future__ import annotations

import logging
import threading
from uuid import UUID

from django.conf import settings
from django.db import Error, close_old_connections

from generation import attempts
from generation.models import Job

log = logging.getLogger(__name__)


class LeaseKeeper:
    """Renews the lease of each job in hand three times a lease, whatever the other threads are busy with."""

    def __init__(self) -> None:
        self._held: set[tuple[UUID, int]] = set()
        self._guard = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def hold(self, job: Job) -> None:
        with self._guard:
            self._held.add((job.pk, job.attempt))

    def drop(self, job: Job) -> None:
        with self._guard:
            self._held.discard((job.pk, job.attempt))

    def _run(self) -> None:
        while not self._stopped.wait(settings.JOB_LEASE.total_seconds() / 3):
            with self._guard:
                held = set(self._held)
            if not held:
                continue
            try:
                attempts.renew(held)
            except Error:
                log.exception("leases could not be renewed; tried again in a third of a lease")
            finally:
                close_old_connections()
