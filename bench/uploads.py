"""What a large file costs the web process when media lie on local disk: memory meanwhile, and how fast it goes.

`python -m bench.uploads` starts everything in `var/bench/` and stops it again. With S3, nothing of it is there to
be measured: the parts go past us.
"""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psutil

from bench.jobs import PORT, a_client
from bench.setting import platform_running

SIZE = 200 * 2**20
AT_ONCE = 3
"""Parts under way at the same time: as many as the pages send."""


def main() -> None:
    with platform_running(PORT, models=()) as platform:
        client = a_client(platform.url)
        web = psutil.Process(platform.processes["web"].pid)
        print("| 200 MiB to local disk | MB/s | CPU s of the web process | resident MB before | at most |")
        print("|---|---|---|---|---|")
        for at_once in (1, AT_ONCE):
            _row(client, web, at_once)


def _row(client: httpx.Client, web: psutil.Process, at_once: int) -> None:
    upload = client.post("/uploads", json={"name": "film.mp4", "size_bytes": SIZE}).raise_for_status().json()
    block = os.urandom(upload["part_size_bytes"])

    def send(part: dict[str, Any]) -> None:
        httpx.put(part["url"], content=block[: part["size_bytes"]], timeout=60).raise_for_status()

    before, spent, began = web.memory_info().rss, sum(web.cpu_times()[:2]), time.perf_counter()
    with _Peak(web) as peak, ThreadPoolExecutor(at_once) as senders:
        list(senders.map(send, upload["parts"]))
    seconds, cpu = time.perf_counter() - began, sum(web.cpu_times()[:2]) - spent
    client.delete(f"/uploads/{upload['id']}").raise_for_status()
    speed = SIZE / 1e6 / seconds
    print(f"| {at_once} at once | {speed:.0f} | {cpu:.1f} | {before / 1e6:.0f} | {peak.rss / 1e6:.0f} |")


class _Peak:
    """The most memory that a process has while the body runs, looked at fifty times a second."""

    def __init__(self, process: psutil.Process) -> None:
        self.process, self.rss = process, 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self.rss = max(self.rss, self.process.memory_info().rss)

    def __enter__(self) -> _Peak:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()


if __name__ == "__main__":
    main()
