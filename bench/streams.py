"""What a thousand open event streams cost the web process, and how soon a message reaches all of them.

`python -m bench.streams` starts everything in `var/bench/` and stops it again.
"""

from __future__ import annotations

import asyncio
import resource
import time
import uuid

import httpx
import psutil

from bench.jobs import PORT, a_client
from bench.setting import platform_running

STREAMS = 1000


def main() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, STREAMS * 4)), hard))
    with platform_running(PORT, models=()) as platform:
        from generation.models import Job

        client = a_client(platform.url)
        Job.objects.all().delete()
        web = psutil.Process(platform.processes["web"].pid)
        job_id = client.post("/jobs", json={"model": "null", "tier": "batch"}).raise_for_status().json()["id"]
        asyncio.run(_measure(client, web, job_id))


async def _measure(client: httpx.Client, web: psutil.Process, job_id: str) -> None:
    from generation.live import publish

    print(f"| open streams | threads | connections to services | resident MB |\n|---|---|---|---|\n{_row(0, web)}")
    opened, arrivals = asyncio.Semaphore(50), []
    ready, told = asyncio.Event(), 0
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    headers = dict(client.headers)

    async with httpx.AsyncClient(base_url=client.base_url, headers=headers, limits=limits, timeout=120) as many:

        async def listen() -> None:
            nonlocal told
            await opened.acquire()
            async with many.stream("GET", f"/jobs/{job_id}/events/stream") as response:
                async for line in response.aiter_lines():
                    if line == "event: job":
                        opened.release()
                        told += 1
                        if told == STREAMS:
                            ready.set()
                    elif line == "event: progress":
                        arrivals.append(time.perf_counter())
                        return

        tasks = [asyncio.create_task(listen()) for _ in range(STREAMS)]
        await asyncio.wait_for(ready.wait(), 120)
        print(_row(STREAMS, web))
        sent = time.perf_counter()
        await asyncio.to_thread(publish, uuid.UUID(job_id), {"type": "progress", "progress": 0.5})
        await asyncio.wait_for(asyncio.gather(*tasks), 60)
    first, last = min(arrivals) - sent, max(arrivals) - sent
    print(
        f"\nOne message reaches the first stream after {first * 1e3:.0f} ms, the last after {last * 1e3:.0f} ms."
    )


def _row(streams: int, web: psutil.Process) -> str:
    services = [c for c in web.net_connections() if c.status == "ESTABLISHED" and c.laddr.port != PORT]
    unix = [c for c in web.net_connections("unix") if "PGSQL" in str(c.raddr)]
    return f"| {streams} | {web.num_threads()} | {len(services) + len(unix)} | {web.memory_info().rss / 1e6:.0f} |"


if __name__ == "__main__":
    main()
