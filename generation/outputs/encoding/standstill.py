"""Seeing to it that no ffmpeg stands still: a driver or a disk that hangs would hold its worker for ever.

How long the work may take says nothing: models are slow, clips are long, and ffmpeg waits for both. It stands
still when it has something to do and uses no processor time; encoders in hardware use some for every frame.
"""

from __future__ import annotations

import array
import fcntl
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

import psutil

PATIENCE = 120.0
"""Seconds that it may stand still."""
LOOK = 1.0
"""Seconds between looks at it."""


@contextmanager
def watched(process: subprocess.Popen[bytes], has_work: Callable[[], bool]) -> Iterator[Watch]:
    """Kill the process when it stands still within the block; the watch knows whether it did."""
    watch = Watch(process, has_work)
    watch.start()
    try:
        yield watch
    finally:
        watch.stop()


class Watch(threading.Thread):
    def __init__(self, process: subprocess.Popen[bytes], has_work: Callable[[], bool]) -> None:
        super().__init__(name="standstill", daemon=True)
        self._process, self._has_work = process, has_work
        self._over = threading.Event()
        self.complaint = ""
        """Why the process was killed, for operators; empty where it was not."""

    def run(self) -> None:
        spent, since = -1.0, time.monotonic()
        while not self._over.wait(LOOK):
            before, spent = spent, self._processor_time()
            if self._process.poll() is not None:
                return
            if spent != before or not self._has_work():
                since = time.monotonic()
            elif time.monotonic() - since > PATIENCE:
                self.complaint = f"it stood still for {PATIENCE:g} s"
                self._process.kill()
                return

    def stop(self) -> None:
        self._over.set()
        self.join()

    def _processor_time(self) -> float:
        """Seconds of all its threads; 0 once it is gone."""
        try:
            times = psutil.Process(self._process.pid).cpu_times()
        except psutil.NoSuchProcess:
            return 0.0
        return float(times.user + times.system)


def is_fed(pipe: IO[bytes]) -> bool:
    """Whether the process that reads from the pipe has something to read, or has been given all that there is."""
    waiting = _in_pipe(pipe)
    return waiting is None or waiting > 0


def is_awaited(pipe: IO[bytes]) -> bool:
    """Whether somebody could take more from the pipe than the process has written to it."""
    return _in_pipe(pipe) == 0


def _in_pipe(pipe: IO[bytes]) -> int | None:
    """Bytes that were written and not read; None of a pipe that is closed on this side."""
    count = array.array("i", [0])
    try:
        fcntl.ioctl(pipe.fileno(), termios.FIONREAD, count)
    except (OSError, ValueError):  # ValueError is what a closed file raises
        return None
    return count[0]
