"""How busy the GPU is, as its driver sees it from outside."""

from __future__ import annotations

import statistics
import threading
import time
from types import TracebackType

import pynvml

PAUSE = 0.005
"""Seconds between two looks."""


class GpuUse:
    """While this is open, the first GPU is looked at: the share of time, in percent, in which some kernel ran.

    The driver tells of a past period of its own choice, some tens of milliseconds to a second long: means over
    many seconds are right, single moments are not.
    """

    def __init__(self) -> None:
        self._seen: list[tuple[float, int]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> GpuUse:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def mean(self, began: float, ended: float) -> float | None:
        """Between two moments of `time.monotonic()`; None where there is no GPU that tells."""
        seen = [share for at, share in self._seen if began <= at <= ended]
        return statistics.fmean(seen) if seen else None

    def _look(self) -> None:
        try:
            pynvml.nvmlInit()
            card = pynvml.nvmlDeviceGetHandleByIndex(0)
            while not self._ended.wait(PAUSE):
                self._seen.append((time.monotonic(), int(pynvml.nvmlDeviceGetUtilizationRates(card).gpu)))
        except pynvml.NVMLError:
            return  # no driver, or one that does not tell
