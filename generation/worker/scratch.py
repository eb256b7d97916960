"""Scratch folders: one a worker process, with a lock that the system lets go of when the process is gone.

`ROOT/NAME.lock` is held by the worker for as long as it lives; `ROOT/NAME/` is its folder, with one folder an
attempt in it. Whoever gets the lock of another has found a dead one's, and removes what it left.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import IO

NAMELESS_SECONDS = 3600.0
"""A lock that has no name yet after so long was left by a worker that was killed in that moment."""

log = logging.getLogger(__name__)


def default_root() -> Path:
    """Where workers of this user on this machine keep their scratch folders: under TMPDIR."""
    return Path(tempfile.gettempdir()) / f"mutoscope-scratch-{os.getuid()}"


class Scratch:
    """This worker process's folder for pictures, checkpoints and clips that are being made.

    Nothing is there before `open`; `close` removes it, also where `open` was broken off.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or default_root()
        self._lock_file = self.root / f"{os.getpid()}-{uuid.uuid4().hex[:8]}.lock"
        self._nameless = self._lock_file.with_suffix(".new")
        self._lock: IO[str] | None = None
        self.folder = self._lock_file.with_suffix("")

    def open(self) -> None:
        """Make the folder, and hold its lock. Raises OSError."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Held before it has its name: a sweeper must never find it free.
        self._lock = self._nameless.open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._nameless.rename(self._lock_file)
        self.folder.mkdir(mode=0o700)

    def for_attempt(self) -> Path:
        """A new folder in it. Raises OSError."""
        return Path(tempfile.mkdtemp(dir=self.folder))

    def sweep(self) -> int:
        """Remove what workers that are gone have left. Returns how many they were."""
        for nameless in self.root.glob("*.new"):
            with suppress(OSError):  # another sweeper was faster
                if time.time() - nameless.stat().st_mtime > NAMELESS_SECONDS:
                    nameless.unlink()
        return sum(_remove_if_dead(lock) for lock in self.root.glob("*.lock") if lock != self._lock_file)

    def close(self) -> None:
        """Remove the folder, and let go of the lock."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for file in (self._nameless, self._lock_file):
            file.unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()


def _remove_if_dead(lock_file: Path) -> bool:
    try:
        lock = lock_file.open("r+")
    except OSError:  # its worker, or another sweeper, was faster; or it is another user's
        return False
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        shutil.rmtree(lock_file.with_suffix(""), ignore_errors=True)
        lock_file.unlink(missing_ok=True)
        log.info("removed what the worker %s had left", lock_file.stem)
        return True
