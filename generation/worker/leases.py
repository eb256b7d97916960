"""Keeping the leases of everything this worker holds, and knowing what it still holds."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from django.conf import settings
from django.db import Error, InterfaceError, OperationalError, close_old_connections

from generation import attempts
from generation.models import Job

log = logging.getLogger(__name__)

T = TypeVar("T")

LOOK = 0.2
"""Seconds between looks at whether the jobs in hand are still this worker's."""
PARTING = 1.0
"""Seconds that a thread may take to end: it may be waiting for a database that is away."""
UNREACHABLE = (OperationalError, InterfaceError)
"""What Django raises when the database is away, or the connection to it is broken."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
"""Seconds between tries at a database that is away."""


class Hold:
    """An attempt's hold on its job, as far as this worker can know it.

    While the database cannot be asked, the attempt goes on for as long as its lease certainly holds by this
    machine's own clock: no other can have the job until then.
    """

    def __init__(self, job: Job, since: float) -> None:
        """`since` is `time.monotonic()` before the claim or renewal was sent: the lease was given later."""
        self.job = job
        self.lost = False
        self.renewed_at = since
        self.claimed_at = time.monotonic()
        """When the claim's answer was here."""

    def is_certain(self) -> bool:
        """Whether the job is this attempt's and nobody else's, for all that this worker knows."""
        return not self.lost and time.monotonic() < self.renewed_at + settings.JOB_LEASE.total_seconds()

    def since_claim(self, moment: float | None = None) -> float:
        """Seconds from the claim to a moment of `time.monotonic()`, which is now where none is given."""
        return (time.monotonic() if moment is None else moment) - self.claimed_at

    def insist(self, call: Callable[[], T]) -> T:
        """What `call` gives; called again while the database is away and the lease certainly holds.

        `call` must be safe to repeat: a connection that breaks hides whether the first one was committed. Raises
        `attempts.Lost` once the lease may have run out.
        """
        pause = FIRST_PAUSE
        while True:
            try:
                return call()
            except UNREACHABLE as error:
                close_old_connections()
                if not self.is_certain():
                    log.warning("job %s: the database is away, and the lease may have run out", self.job.pk)
                    raise attempts.Lost from error
                log.warning("job %s: the database is away; tried again in %g s: %s", self.job.pk, pause, error)
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


class LeaseKeeper:
    """Renews the lease of each job in hand three times a lease, and looks at whether it is still this worker's.

    In a thread of its own, whatever the others are busy with or wait for.
    """

    def __init__(self) -> None:
        self._holds: set[Hold] = set()
        self._guard = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():  # a worker that is stopped early has not started it
            self._thread.join(PARTING)

    def add(self, hold: Hold) -> None:
        with self._guard:
            self._holds.add(hold)

    def drop(self, hold: Hold) -> None:
        with self._guard:
            self._holds.discard(hold)

    def in_hand(self) -> list[Hold]:
        """What has been claimed and is not done with."""
        with self._guard:
            return list(self._holds)

    def _run(self) -> None:
        away = False
        while not self._stopped.wait(LOOK):
            holds = self.in_hand()
            try:
                for hold in holds:
                    _look_after(hold)
                if away:
                    log.info("the database is back")
                away = False
            except Error as error:
                if not away:
                    log.warning("the leases cannot be renewed while the database is away: %s", error)
                away = True
            if away or not holds:
                close_old_connections()
        close_old_connections()


def _look_after(hold: Hold) -> None:
    now = time.monotonic()
    if now - hold.renewed_at < settings.JOB_LEASE.total_seconds() / 3:
        held = attempts.is_held(hold.job)
    else:
        held = attempts.renew(hold.job)
        if held:
            hold.renewed_at = now
    hold.lost = hold.lost or not held
