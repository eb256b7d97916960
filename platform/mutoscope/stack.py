"""All of our processes on one machine, started together and stopped together.

`manage.py up` and `manage.py demo` stand on this. In production each process is run by systemd, Compose or
Kubernetes instead, with the same commands.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field

from mutoscope import supervise
from mutoscope.env import BASE_DIR, VAR_DIR
from mutoscope.supervise import log_path

HOST = "127.0.0.1"
START_TIMEOUT = 60.0
WORKER_GRACE = 4.0
"""Seconds in which a worker that is stopped may end its job; it needs up to three more to give it back."""
STOP_TIMEOUT = 8.0
"""Seconds a process may take to end before it is killed."""


class StackError(Exception):
    """The platform could not be started, or did not stay up; the message says what to do."""


@dataclass
class Stack:
    """The running processes by name."""

    port: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def check(self) -> None:
        """Raise `StackError` when a process has ended by itself."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise StackError(
                    f"the {name} process ended by itself (exit code {process.returncode}); "
                    f"the reason is at the end of {log_path(name)}."
                )

    def start(self, name: str, *arguments: str) -> None:
        """Start `manage.py` with the arguments; what it says goes to `var/log/NAME.log`."""
        environment = {"PUBLIC_URL": self.url, "WORKER_GRACE_SECONDS": f"{WORKER_GRACE:g}"}
        self.processes[name] = supervise.launch(name, *arguments, environment=environment)

    def stop(self) -> None:
        """End all processes, politely at first, and with each whatever it has started itself."""
        supervise.stop(self.processes.values(), patience=STOP_TIMEOUT)


@contextlib.contextmanager
def running(port: int, *, models: list[str]) -> Iterator[Stack]:
    """Our processes for as long as the body runs, on services that run already. Raises `StackError`."""
    if not address_is_free(HOST, port):
        raise StackError(
            f"port {port} is taken by another program; stop that one, or choose another port: PORT={port + 1}."
        )
    _manage("migrate", "--no-input")
    stack = Stack(port)
    try:
        stack.start("web", "web", "--port", str(port))
        stack.start("upkeep", "upkeep")
        stack.start("media", "media")
        for model in models:
            stack.start(f"worker-{model}", "worker", "--model", model)
        _wait_until_healthy(stack)
        yield stack
    finally:
        stack.stop()


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Hold the place of this checkout's one `up`. Raises `StackError` when another has it."""
    VAR_DIR.mkdir(parents=True, exist_ok=True)
    with (VAR_DIR / "up.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise StackError(
                f"this checkout is up already, {lock.read().strip() or 'just starting'}; "
                "use that one, or stop it with Ctrl-C where it runs."
            ) from None
        lock.truncate(0)
        yield


def tell_where(stack: Stack) -> None:
    """Leave a note for a second `up`: where the first one is."""
    (VAR_DIR / "up.lock").write_text(f"at {stack.url} (process {os.getpid()})")


def address_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _manage(*arguments: str) -> None:
    """Run a command to its end. Raises `StackError` with where its output is."""
    log = log_path("setup")
    with log.open("ab") as output:
        done = subprocess.run(
            [sys.executable, str(BASE_DIR / "manage.py"), *arguments],
            stdout=output, stderr=subprocess.STDOUT, cwd=BASE_DIR, check=False,
        )  # fmt: skip
    if done.returncode:
        raise StackError(f"`manage.py {' '.join(arguments)}` failed; the reason is at the end of {log}.")


def _wait_until_healthy(stack: Stack) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        stack.check()
        with (
            contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError),
            urllib.request.urlopen(f"{stack.url}/api/v1/health", timeout=2),  # noqa: S310  our own
        ):
            return
        time.sleep(0.05)
    raise StackError(f"the web server did not answer within {START_TIMEOUT:.0f} s; see {log_path('web')}.")
