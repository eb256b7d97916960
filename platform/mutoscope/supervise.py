"""Starting `manage.py` processes, keeping them running, and ending them with all that they have started."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mutoscope.env import BASE_DIR, VAR_DIR

FIRST_DELAY = 1.0
LONGEST_DELAY = 60.0
"""Seconds before a process that died is started again: doubled each time, up to the longest."""
WELL_AFTER = 60.0
"""Seconds after which a process counts as well, so that its next death is the first again."""
KILL_TIMEOUT = 2.0

_libc = ctypes.CDLL(None)  # looked up before any fork: a child must do as little as it can before it execs


def log_path(name: str) -> Path:
    """Where a process's output goes: `var/log/NAME.log`."""
    folder = VAR_DIR / "log"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.log"


def launch(name: str, *arguments: str, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start `manage.py` with the arguments, to end when this process does; its output goes to `log_path(name)`.

    Call it from the main thread: the kernel ends the child with the thread that started it.
    """
    with log_path(name).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, str(BASE_DIR / "manage.py"), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=BASE_DIR,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            start_new_session=True,  # Ctrl-C is ours to pass on, in order
            preexec_fn=_end_with_parent,  # noqa: PLW1509  it takes no lock that another thread could hold
        )


def stop(processes: Collection[subprocess.Popen[bytes]], *, patience: float) -> None:
    """End processes, politely at first, and after `patience` seconds by force; with each all it has started."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + patience
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.1, deadline - time.monotonic()))
        kill_group(process)


def kill_group(leader: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a process and of those that it started, and wait until they are gone.

    A worker that is stopped while its engine is only just starting cannot take it along.
    """
    deadline = time.monotonic() + KILL_TIMEOUT
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(leader.pid, signal.SIGKILL)
            leader.poll()  # a dead leader that nobody has asked after still counts
            time.sleep(0.02)


@dataclass
class Kept:
    """A process that is to run: started again when it ends, each time later if it ends soon."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    deaths: int = 0
    """How often in a row it has ended by itself before it was well."""
    _started_at: float = 0.0
    _start_at: float = 0.0
    _log_from: int = 0

    @property
    def is_due(self) -> bool:
        """Whether it is to be started now."""
        return self.process is None and time.monotonic() >= self._start_at

    @property
    def delay(self) -> float:
        """Seconds until it is started again."""
        return max(0.0, self._start_at - time.monotonic())

    def start(self) -> None:
        path = log_path(self.name)
        self._log_from = path.stat().st_size if path.exists() else 0
        self._started_at = time.monotonic()
        self.process = launch(self.name, *self.arguments, environment=self.environment)

    def death(self) -> str | None:
        """Why it has ended, where it has since it was started: told once. None while it runs."""
        if self.process is None or self.process.poll() is None:
            return None
        kill_group(self.process)
        reason = self._reason(self.process.returncode)
        self.process = None
        was_well = time.monotonic() - self._started_at >= WELL_AFTER
        self.deaths = 1 if was_well else self.deaths + 1
        self._start_at = time.monotonic() + min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(self.deaths - 1, 16))
        return reason

    def begin_anew(self) -> None:
        """Forget what has been: start it now."""
        self.deaths, self._start_at = 0, 0.0

    def _reason(self, code: int) -> str:
        """How it ended, and the last that it said."""
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        with log_path(self.name).open("rb") as log:
            log.seek(max(self._log_from, log.seek(0, os.SEEK_END) - 2000))
            said = log.read().decode(errors="replace").strip().splitlines()
        return f"{how}: {said[-1].strip()}" if said and code > 0 else how


def _end_with_parent() -> None:
    """Have the kernel end this process when the one that started it is gone (Linux; elsewhere nothing)."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        _libc.prctl(set_parent_death_signal, signal.SIGTERM)
