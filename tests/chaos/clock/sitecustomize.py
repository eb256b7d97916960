"""A process with a wrong clock: Python runs this at its start where the folder is on PYTHONPATH.

`CHAOS_CLOCK` says by how many seconds the wall clock is off; the monotonic clock is left alone, as on a machine
whose time was set wrongly. `CHAOS_SCENE` is the process that started this one: when that ends, so does this
(Linux), but not the processes that this one starts, whose end is their parent's business and under test.
"""

from __future__ import annotations

import ctypes
import datetime as dt
import gc
import os
import signal
import sys
import time


def shift_clock(seconds: float) -> None:
    """Put `time.time`, `time.time_ns` and the clock of `datetime` off by so many seconds."""
    real_time, real_time_ns, real_now = time.time, time.time_ns, dt.datetime.now
    shift = dt.timedelta(seconds=seconds)

    def now(cls: type[dt.datetime], tz: dt.tzinfo | None = None) -> dt.datetime:
        return real_now(tz) + shift

    def utcnow(cls: type[dt.datetime]) -> dt.datetime:
        return real_now(dt.UTC).replace(tzinfo=None) + shift

    time.time = lambda: real_time() + seconds
    time.time_ns = lambda: real_time_ns() + int(seconds * 1e9)
    # In the class itself, not in a subclass: psycopg, pickle and C code know datetimes by their very type.
    attributes = gc.get_referents(dt.datetime.__dict__)[0]
    attributes["now"], attributes["utcnow"] = classmethod(now), classmethod(utcnow)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(dt.datetime))


def end_with(parent: int) -> None:
    """Have the kernel kill this process when `parent`, which started it, is gone."""
    if sys.platform == "linux" and os.getppid() == parent:
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


end_with(int(os.environ.get("CHAOS_SCENE", "0")))
if float(os.environ.get("CHAOS_CLOCK", "0")):
    shift_clock(float(os.environ["CHAOS_CLOCK"]))
