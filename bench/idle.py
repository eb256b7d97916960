"""How long the engine waits between two jobs, with clips of an earnest size; and how many jobs a second.

`python -m bench.idle` starts everything in `var/bench/` and stops it again.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from bench.jobs import a_client
from bench.setting import platform_running

if TYPE_CHECKING:
    from mutoscope.stack import Stack

PICTURE = Path(__file__).parents[1] / "platform" / "mutoscope" / "demo" / "coffee.png"
JOBS = 25
MANY = 240
PORT = 8766
LOG = Path(os.environ["MUTOSCOPE_VAR"]) / "paced.log"
os.environ["PACED_LOG"] = str(LOG)


def main() -> None:
    with platform_running(PORT, models=()) as platform:
        client = a_client(platform.url)
        idle_gap(client, platform)
        print(f"\n## Jobs a second ({MANY} jobs of an engine that does nothing)\n")
        print("| workers | jobs a second |\n|---|---|")
        for count in (1, 2, 4):
            print(f"| {count} | {rate(client, platform, count):.1f} |", flush=True)


def idle_gap(client: httpx.Client, platform: Stack) -> None:
    """From the end of one request in the engine to the start of the next, as the engine itself sees it."""
    LOG.unlink(missing_ok=True)
    with PICTURE.open("rb") as file:
        picture = client.post("/assets", files={"file": (PICTURE.name, file)}).raise_for_status().json()["id"]
    submit(client, JOBS, {"model": "paced", "picture": picture})
    with workers(platform, "paced", 1):
        until_all_have_ended()
    spans = [json.loads(line) for line in LOG.read_text().splitlines()]
    gaps = [after[0] - before[1] for before, after in pairwise(spans)]
    busy = sum(end - begin for begin, end in spans)
    idle = 100 * sum(gaps) / (sum(gaps) + busy)
    print(f"\n## Between two jobs of {busy / len(spans):.2f} s ({JOBS} jobs, 49 frames of 1280 × 720)\n")
    print("| engine waits, p50 | p99 | share of its time |\n|---|---|---|")
    print(f"| {statistics.median(gaps) * 1e3:.0f} ms | {_p99(gaps) * 1e3:.0f} ms | {idle:.1f} % |")


def rate(client: httpx.Client, platform: Stack, count: int) -> float:
    """Jobs that ended a second, once every worker has had one."""
    from django.db.models import Min

    from generation.models import Attempt

    first = submit(client, MANY, {"model": "null"})
    with workers(platform, "null", count):
        until_all_have_ended()
    mine = Attempt.objects.filter(job_id__gte=first)
    starts = mine.values("worker").annotate(first=Min("claimed_at")).values_list("first", flat=True)
    ends = sorted(mine.filter(ended_at__gt=max(starts)).values_list("ended_at", flat=True))
    return len(ends) / (ends[-1] - max(starts)).total_seconds()


def submit(client: httpx.Client, count: int, request: dict[str, Any]) -> str:
    """Have so many jobs wait. Returns the id of the first."""
    ids = [client.post("/jobs", json=request).raise_for_status().json()["id"] for _ in range(count)]
    return str(ids[0])


def until_all_have_ended() -> None:
    from generation.models import Job

    while Job.objects.exclude(state__in=Job.TERMINAL).exists():
        time.sleep(0.2)
    assert not Job.objects.exclude(state="succeeded").exists()


@contextmanager
def workers(platform: Stack, model: str, count: int) -> Iterator[None]:
    """So many workers of the model, for as long as the body runs."""
    names = [f"worker-{model}-{number}" for number in range(count)]
    for name in names:
        platform.start(name, "worker", "--model", model)
    try:
        yield
    finally:
        processes: list[subprocess.Popen[bytes]] = [platform.processes.pop(name) for name in names]
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def _p99(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100, method="inclusive")[98]


if __name__ == "__main__":
    main()
