"""Three hundred open streams on one web process: neither a thread nor a connection each."""

from __future__ import annotations

import asyncio
import socket

import httpx
import psutil
import pytest
import redis
from django.conf import settings
from django.db import connection
from rest_framework.test import APIClient

from generation import services
from generation.models import Job
from mutoscope.accounts.selectors import Access
from tests.conftest import RunManage, wait_for
from tests.generation.samples import submit

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True, serialized_rollback=True)]
STREAMS, JOBS = 300, 10


def redis_connections() -> int:
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        database = client.connection_pool.connection_kwargs["db"]
        return sum(int(found["db"]) == database for found in client.client_list())


def database_connections() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


async def listen(client: httpx.AsyncClient, job: Job, opened: asyncio.Queue[None]) -> str:
    """Everything that one stream says, from its first event to its end."""
    async with client.stream("GET", f"/api/v1/jobs/{job.pk}/events/stream") as response:
        assert response.status_code == 200
        said = ""
        async for text in response.aiter_text():
            if not said:
                opened.put_nowait(None)
            said += text
        return said


def test_streams_cost_neither_threads_nor_connections(access: Access, api: APIClient, manage: RunManage) -> None:
    jobs = [submit(access) for _ in range(JOBS)]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    async def follow(web: psutil.Process) -> tuple[list[str], int, int, int]:
        opened: asyncio.Queue[None] = asyncio.Queue()
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", timeout=60, limits=httpx.Limits(max_connections=None),
            headers={"Authorization": f"Bearer {api.token}"},  # type: ignore[attr-defined]
        ) as client:  # fmt: skip
            listeners = [asyncio.create_task(listen(client, jobs[n % JOBS], opened)) for n in range(STREAMS)]
            async with asyncio.timeout(60):
                for _ in range(STREAMS):
                    await opened.get()
            cost = web.num_threads(), *await asyncio.to_thread(connections)
            await asyncio.to_thread(cancel_all)
            async with asyncio.timeout(60):
                return await asyncio.gather(*listeners), *cost

    def connections() -> tuple[int, int]:
        try:
            return redis_connections(), database_connections()
        finally:
            connection.close()

    def cancel_all() -> None:
        for job in jobs:
            services.cancel(access, job.pk)
        connection.close()

    def is_up() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/api/v1/health", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    with manage("web", "--port", str(port)) as process:
        wait_for(is_up, seconds=60, what="the start of the web server")
        said, threads, of_redis, of_database = asyncio.run(follow(psutil.Process(process.pid)))
    assert threads < 40
    assert of_redis < 20
    assert of_database < 30
    assert len(said) == STREAMS
    for text in said:
        assert '"state":"queued"' in text
        assert '"state":"cancelled"' in text
