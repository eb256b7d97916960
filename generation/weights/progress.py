"""How far a pull is: a line that rewrites itself on a terminal, plain lines every ten seconds elsewhere."""

from __future__ import annotations

import threading
import time

from django.core.management.base import OutputWrapper

GIB = 2**30


class Stopped(BaseException):
    """Raised in the threads that download, so that they end where they are; no error of theirs."""


class Progress:
    """Counts bytes from several threads."""

    def __init__(self, total: int, out: OutputWrapper) -> None:
        self._total, self._out = total, out
        self._is_terminal = out.isatty()
        self._interval = 0.2 if self._is_terminal else 10.0
        self._done = 0
        self._started = self._told_at = time.monotonic()
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Have whoever reports bytes end."""
        self._stopped.set()

    def add(self, count: int) -> None:
        """Bytes have come. Raises `Stopped` after `stop`."""
        if self._stopped.is_set():
            raise Stopped
        with self._lock:
            self._done += count
            if time.monotonic() - self._told_at >= self._interval:
                self._tell()

    def close(self) -> None:
        """The last word."""
        with self._lock:
            self._tell()
            if self._is_terminal:
                self._out.write("")

    def _tell(self) -> None:
        self._told_at = time.monotonic()
        speed = self._done / max(self._told_at - self._started, 0.001)
        share = 100 * self._done / self._total if self._total else 100
        left = f", {_duration((self._total - self._done) / speed)} left" if 0 < self._done < self._total else ""
        line = (
            f"{self._done / GIB:.2f} of {self._total / GIB:.2f} GiB, {share:.0f} %, "
            f"{speed / 2**20:.1f} MiB/s{left}"
        )
        self._out.write(f"\r\033[K{line}" if self._is_terminal else line, ending="" if self._is_terminal else "\n")
        self._out.flush()


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{max(minutes, 1)} min"
