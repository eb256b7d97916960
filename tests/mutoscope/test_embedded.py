"""The embedded PostgreSQL and Valkey: shared by all who need them, stopped by the last who leaves."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
import redis

from tests.conftest import BASE_DIR, wait_for

pytestmark = pytest.mark.processes
HOLD = """
import sys
from mutoscope import embedded
with embedded.services():
    print("in", flush=True)
    sys.stdin.read()
"""


class Home:
    """A checkout's `var/` and who uses its services."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}},
            "MUTOSCOPE_VAR": str(folder),
            "PYTHONPATH": os.pathsep.join([str(BASE_DIR), str(BASE_DIR / "platform")]),
        }

    def enter(self, **variables: str) -> subprocess.Popen[str]:
        user = subprocess.Popen(
            [sys.executable, "-c", HOLD], env={**self.environment, **variables},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert user.stdout is not None
        assert user.stdout.readline() == "in\n"
        return user

    @contextmanager
    def user(self, **variables: str) -> Iterator[subprocess.Popen[str]]:
        user = self.enter(**variables)
        try:
            yield user
        finally:
            leave(user)

    @property
    def urls(self) -> tuple[str, str]:
        state = json.loads((self.folder / "services.json").read_text())
        return state["database_url"], state["redis_url"]

    def pids(self) -> set[int]:
        files = [self.folder / "postgres" / "postmaster.pid", self.folder / "valkey" / "pid"]
        return {int(path.read_text().split()[0]) for path in files if path.exists()}

    def check(self) -> None:
        database, valkey = self.urls
        with psycopg.connect(database) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        with redis.Redis.from_url(valkey) as client:
            assert client.ping()


def leave(user: subprocess.Popen[str]) -> None:
    if user.poll() is None:
        user.communicate(timeout=40)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path / "v")
    yield home
    left = [pid for pid in home.pids() if psutil.pid_exists(pid)] if home.folder.exists() else []
    if left:
        leave(home.enter())  # whatever a failed test left running
    assert not left, "services outlived their last user"


def test_services_are_shared_and_end_with_their_last_user(home: Home) -> None:
    first = home.enter()
    home.check()
    running = home.pids()
    assert len(running) == 2
    with home.user(), home.user():
        assert home.pids() == running
        leave(first)
        home.check()  # the first one out stopped nothing
        assert home.pids() == running
    assert not any(psutil.pid_exists(pid) for pid in running)


def test_a_killed_user_keeps_nothing_running_for_ever(home: Home) -> None:
    killed = home.enter()
    running = home.pids()
    killed.kill()
    killed.wait()
    home.check()
    with home.user():
        assert home.pids() == running  # what still runs is used again
    assert not any(psutil.pid_exists(pid) for pid in running)


def test_valkey_is_for_us_alone_and_evicts_nothing(home: Home) -> None:
    with home.user():
        url = urlsplit(home.urls[1])
        assert url.password
        with redis.Redis.from_url(home.urls[1]) as client:
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        for stranger in (redis.Redis(port=url.port), redis.Redis(port=url.port, password="guess")):  # type: ignore[arg-type]
            with stranger, pytest.raises(redis.AuthenticationError):
                stranger.ping()
        listening = {
            c.laddr.ip for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == url.port
        }
        assert listening == {"127.0.0.1"}
        with pytest.raises(OSError):  # noqa: PT011  refused or unreachable: nobody is there
            socket.create_connection((_own_address(), url.port or 0), 1)
        for name in ("services.json", "valkey/valkey.conf", "secrets/valkey"):
            assert stat.S_IMODE((home.folder / name).stat().st_mode) == 0o600


def _own_address() -> str:
    """An address of this machine that others could reach it by, or one that nobody has."""
    found = [
        a.address for addresses in psutil.net_if_addrs().values() for a in addresses if a.family == socket.AF_INET
    ]
    return next((address for address in found if not address.startswith("127.")), "192.0.2.1")


def test_a_stale_pid_file_is_survived(home: Home) -> None:
    with home.user():
        pass
    pid_file = home.folder / "postgres" / "postmaster.pid"
    for content in (f"{os.getppid()}\n/nowhere\n", "999999999\n/nowhere\n", ""):  # another's, nobody's, cut off
        assert not pid_file.exists()
        pid_file.write_text(content)
        with home.user():
            home.check()


def test_a_service_of_ones_own_replaces_one_embedded(home: Home) -> None:
    with home.user(DATABASE_URL="postgresql://db.invalid/x"):
        assert not (home.folder / "postgres").exists()
        with redis.Redis.from_url(json.loads((home.folder / "services.json").read_text())["redis_url"]) as client:
            assert client.ping()
    assert not (home.folder / "postgres").exists()  # not even on the way out


def test_users_who_come_at_once_share_one_server(home: Home) -> None:
    users = [
        subprocess.Popen(
            [sys.executable, "-c", HOLD],
            env=home.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for user in users:
        assert user.stdout is not None
        assert user.stdout.readline() == "in\n"
    home.check()
    running = home.pids()
    for user in users:
        leave(user)
    wait_for(lambda: not any(psutil.pid_exists(pid) for pid in running), what="the services' end")
