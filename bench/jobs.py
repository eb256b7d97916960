"""What the platform itself costs: latencies, throughput, CPU and memory, with an engine that does nothing.

`python -m bench.jobs` starts everything in `var/bench/` and stops it again.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import httpx
import psutil

from bench.setting import platform_running
from mutoscope.stack import Stack

ONE_BY_ONE = 60
IN_A_ROW = 300
PORT = 8765


def main() -> None:
    with platform_running(PORT) as platform:
        at_rest(platform)
        client = a_client(platform.url)
        one_by_one(client)
        in_a_row(client, platform)
        bare_celery()


def a_client(url: str) -> httpx.Client:
    """A program of a workspace whose plan lets it do as much as it can."""
    from billing.models import Plan
    from mutoscope.demo import people

    Plan.objects.update(queued_jobs=1_000_000, requests_per_minute=None, storage_mib=None)
    return httpx.Client(base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {people.demo_token()}"})


def at_rest(platform: Stack) -> None:
    """Memory of each process before it has done anything: resident, and what is its alone."""
    time.sleep(3)
    print("\n## Memory at rest\n\n| process | resident MB | its own MB (USS) |\n|---|---|---|")
    for name, process in platform.processes.items():
        _memory_row(name.replace("worker-null", "worker parent"), psutil.Process(process.pid))
        for child in psutil.Process(process.pid).children(recursive=True):
            if "spawn_main" in " ".join(child.cmdline()):
                _memory_row("engine process (null)", child)


def _memory_row(name: str, process: psutil.Process) -> None:
    memory = process.memory_full_info()
    print(f"| {name} | {memory.rss / 1e6:.0f} | {memory.uss / 1e6:.0f} |")


def one_by_one(client: httpx.Client) -> None:
    """Latencies of an idle platform: the next job is sent when the one before has ended."""
    from generation.models import Job

    posts, ids = [], []
    for number in range(ONE_BY_ONE + 5):
        began = time.perf_counter()
        job = client.post("/jobs", json={"model": "null", "seed": 1}).raise_for_status().json()
        posts.append(time.perf_counter() - began)
        if number >= 5:  # the first ones warm connections and caches
            ids.append(job["id"])
        while Job.objects.filter(pk=job["id"]).exclude(state__in=Job.TERMINAL).exists():
            time.sleep(0.05)  # looked up here: requests would be load upon what is measured
    print(f"\n## Latency, one job at a time ({ONE_BY_ONE} jobs)\n\n| | p50 ms | p99 ms |\n|---|---|---|")
    _row("`POST /jobs`", posts[5:])
    accepted, finished = _latencies(ids)
    _row("accepted → engine starts", accepted)
    _row("engine ends → job succeeded (encode, check, store, publish)", finished)


def in_a_row(client: httpx.Client, platform: Stack) -> None:
    """Throughput and CPU: many jobs wait before one worker of one lane."""
    from generation.models import Job

    processes = [psutil.Process(p.pid) for p in platform.processes.values()]
    engine = [c for c in processes[-1].children() if "spawn_main" in " ".join(c.cmdline())]
    before, services_before = _cpu(processes + engine), _services_cpu()
    encoders_before = _children_cpu(processes[-1])
    began, posts = time.perf_counter(), []
    for _ in range(IN_A_ROW):
        sent = time.perf_counter()
        client.post("/jobs", json={"model": "null", "seed": 1}).raise_for_status()
        posts.append(time.perf_counter() - sent)
    waiting = Job.objects.filter(model="null").exclude(state__in=Job.TERMINAL)
    while waiting.exists():
        time.sleep(0.1)
    seconds = time.perf_counter() - began
    assert not Job.objects.filter(model="null").exclude(state="succeeded").exists()
    own = _cpu(processes + engine) - before
    print(f"\n## Throughput and CPU, one worker ({IN_A_ROW} jobs)\n\n| | |\n|---|---|")
    print(f"| jobs a second, `POST` to clip | {IN_A_ROW / seconds:.1f} |")
    print(f"| `POST /jobs` while the worker is busy, p50 / p99 | {_p(posts, 50):.1f} / {_p(posts, 99):.1f} ms |")
    print(f"| CPU a job: web, upkeep, worker parent, engine process | {own / IN_A_ROW * 1e3:.1f} ms |")
    services = _services_cpu() - services_before
    print(f"| CPU a job: PostgreSQL and Valkey | {services / IN_A_ROW * 1e3:.1f} ms |")
    encoders = _children_cpu(processes[-1]) - encoders_before
    print(f"| CPU a job: ffmpeg (encode and check) | {encoders / IN_A_ROW * 1e3:.1f} ms |")


def bare_celery() -> None:
    """The floor, on the same broker: as many tasks that only count, through a bare worker."""
    from bench import bare

    bare.client.flushdb()
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "bench.bare", "worker", "-P", "threads", "-c", "1", "-l", "ERROR"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        bare.count.delay()
        _until(1)
        began = time.perf_counter()
        for _ in range(IN_A_ROW):
            bare.count.delay()
        _until(IN_A_ROW + 1)
        rate = IN_A_ROW / (time.perf_counter() - began)
        print(f"| bare Celery tasks a second, same broker, same run | {rate:.0f} |")
    finally:
        worker.terminate()
        worker.wait()


def _until(count: int) -> None:
    from bench import bare

    while int(bare.client.get(bare.COUNTER) or 0) < count:  # type: ignore[arg-type]
        time.sleep(0.005)


def _latencies(ids: Iterable[str]) -> tuple[list[float], list[float]]:
    from generation.models import Attempt

    attempts = Attempt.objects.filter(job__in=list(ids)).select_related("job")
    return (
        [(a.engine_started_at - a.job.created_at).total_seconds() for a in attempts],
        [(a.ended_at - a.engine_ended_at).total_seconds() for a in attempts],
    )


def _cpu(processes: Iterable[psutil.Process]) -> float:
    return sum(t.user + t.system for t in (p.cpu_times() for p in processes))


def _services_cpu() -> float:
    """Of the two servers: the main processes, their children now, and their children that have ended."""
    var = Path(os.environ["MUTOSCOPE_VAR"])
    pids = [(var / "postgres" / "postmaster.pid").read_text().split()[0], (var / "valkey" / "pid").read_text()]
    servers = [psutil.Process(int(pid)) for pid in pids]
    now = [child for server in servers for child in server.children()]
    return _cpu(servers + now) + sum(_children_cpu(server) for server in servers)


def _children_cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.children_user + times.children_system)


def _row(name: str, seconds: Sequence[float]) -> None:
    print(f"| {name} | {_p(seconds, 50):.1f} | {_p(seconds, 99):.1f} |")


def _p(seconds: Sequence[float], percent: int) -> float:
    """A percentile, in milliseconds."""
    return statistics.quantiles(seconds, n=100, method="inclusive")[percent - 1] * 1e3


if __name__ == "__main__":
    main()
