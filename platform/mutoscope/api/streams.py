"""Live events by SSE: one coroutine a stream, one Redis connection a process, no thread and no database
connection held while a stream is open.

These routes stand before Django (`mutoscope.asgi`): inside it, a request that once touched a synchronous layer
keeps a thread for as long as it lasts, and a thousand open streams would keep a thousand.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from uuid import UUID

import redis.asyncio
from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.backends.db import SessionStore
from django.db import close_old_connections
from django.http import HttpRequest
from rest_framework.renderers import JSONRenderer
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response

from generation import live, selectors
from generation.api import JobSerializer
from generation.models import Job
from mutoscope.accounts.models import User
from mutoscope.accounts.selectors import Access, access_by_key, access_by_session
from mutoscope.api.auth import key_of
from mutoscope.errors import Forbidden, Refusal

log = logging.getLogger(__name__)

T = TypeVar("T")

DATABASE_THREADS = 4
"""Threads that look things up for all streams of this process together."""
BACKLOG = 64
"""Messages that may wait for a slow reader; then its oldest are dropped, and the next snapshot makes up for it."""
PING_SECONDS = 15
RECHECK_SECONDS = 30.0
"""A stream that has heard nothing for so long looks at the job itself: messages may get lost, ends may not."""
RETRY_SECONDS = 1.0

_database = ThreadPoolExecutor(DATABASE_THREADS, thread_name_prefix="streams")


class Unauthorized(Refusal):
    status = 401
    code = "not_authenticated"


class Message:
    """One event of a stream. The last one says so."""

    __slots__ = ("data", "event", "is_last")

    def __init__(self, event: str, data: str, *, is_last: bool = False) -> None:
        self.event, self.data, self.is_last = event, data, is_last


class Hub:
    """Fans out what Redis says about jobs to the streams that are open on them."""

    def __init__(self) -> None:
        self._listeners: defaultdict[UUID, set[asyncio.Queue[Message]]] = defaultdict(set)
        self._client = redis.asyncio.Redis.from_url(settings.REDIS_URL, health_check_interval=30)
        self._pubsub = self._client.pubsub(ignore_subscribe_messages=True)

    @contextlib.asynccontextmanager
    async def listen(self, job_id: UUID) -> AsyncIterator[asyncio.Queue[Message]]:
        """A queue of the job's messages for as long as the body runs."""
        queue: asyncio.Queue[Message] = asyncio.Queue(BACKLOG)
        listeners = self._listeners[job_id]
        listeners.add(queue)
        try:
            if len(listeners) == 1:
                await self._tell_redis("subscribe", job_id)
            yield queue
        finally:
            listeners.discard(queue)
            if not listeners:
                self._listeners.pop(job_id, None)
                await self._tell_redis("unsubscribe", job_id)

    async def run(self) -> None:
        """Read from Redis until cancelled; after a break, subscribe anew and send everybody a snapshot."""
        while True:
            try:
                # A channel of our own keeps the connection open while nobody listens.
                await self._pubsub.subscribe("mutoscope:hub", *map(live.channel, self._listeners))
                for job_id in list(self._listeners):
                    await self._send_snapshot(job_id)
                while True:
                    message = await self._pubsub.get_message(timeout=60)
                    if message:
                        await self._pass_on(message)
            except (redis.RedisError, OSError) as error:
                log.warning("live messages are interrupted: %s", error)
                await asyncio.sleep(RETRY_SECONDS)

    async def close(self) -> None:
        await self._pubsub.aclose()  # type: ignore[no-untyped-call]
        await self._client.aclose()

    async def _tell_redis(self, command: str, job_id: UUID) -> None:
        try:
            await getattr(self._pubsub, command)(live.channel(job_id))
        except (redis.RedisError, OSError) as error:
            log.warning("could not %s to a job: %s", command, error)  # `run` subscribes anew

    async def _pass_on(self, message: dict[str, Any]) -> None:
        try:
            job_id = UUID(message["channel"].decode().rpartition(":")[2])
            body = json.loads(message["data"])
            kind = body.pop("type")
        except (ValueError, KeyError, AttributeError):  # it must not end the streams of everybody
            log.warning("a live message is not understood: %.200r", message)
            return
        if kind == "event":
            await self._send_snapshot(job_id)
        else:
            self._send(job_id, Message("progress", json.dumps(body)))

    async def _send_snapshot(self, job_id: UUID) -> None:
        try:
            self._send(
                job_id,
                await _in_database(
                    lambda: _snapshot(Job.objects.select_related("picture", "output").get(pk=job_id))
                ),
            )
        except Exception:
            log.exception("the state of job %s could not be read for its listeners", job_id)

    def _send(self, job_id: UUID, message: Message) -> None:
        for queue in self._listeners.get(job_id, ()):
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(message)


async def job_stream(request: Request) -> Response:
    """`GET /api/v1/jobs/{id}/events/stream`: `job` events (the whole job) and `progress` events until it ends."""
    job_id: UUID = request.path_params["job_id"]
    hub: Hub = request.app.state.hub
    access = await _in_database(lambda: _access(request))
    await _in_database(lambda: selectors.job(access.workspace, job_id))

    async def events() -> AsyncIterator[ServerSentEvent]:
        async with hub.listen(job_id) as queue:
            # Read after subscribing: whatever happens from here on is in the queue.
            message = await _in_database(lambda: _snapshot(selectors.job(access.workspace, job_id)))
            yield ServerSentEvent(message.data, event=message.event)
            while not message.is_last:
                try:
                    message = await asyncio.wait_for(queue.get(), RECHECK_SECONDS)
                except TimeoutError:
                    last = message
                    message = await _in_database(lambda: _snapshot(selectors.job(access.workspace, job_id)))
                    if message.data == last.data:
                        continue
                yield ServerSentEvent(message.data, event=message.event)

    return EventSourceResponse(events(), ping=PING_SECONDS, headers={"X-Accel-Buffering": "no"})


def _snapshot(job: Job) -> Message:
    body = JSONRenderer().render(JobSerializer(job).data).decode()
    return Message("job", body, is_last=job.state in Job.TERMINAL)


def _access(request: Request) -> Access:
    header = request.headers.get("Authorization", "")
    if header:
        key = key_of(header)
        access = access_by_key(key) if key else None
    else:
        access = _access_by_cookie(request.cookies.get(settings.SESSION_COOKIE_NAME, ""))
    if access is None:
        raise Unauthorized("sign in, or send Authorization: Bearer with an API key that has not been revoked")
    if not access.allows("jobs:read"):
        raise Forbidden("this needs the scope jobs:read", code="scope_missing", scope="jobs:read")
    return access


def _access_by_cookie(session_key: str) -> Access | None:
    if not session_key:
        return None
    request = HttpRequest()
    request.session = SessionStore(session_key)
    user = get_user(request)
    return access_by_session(user, request.session) if isinstance(user, User) else None


async def _in_database(function: Callable[[], T]) -> T:
    """Run a function that uses the database in one of the few threads that all streams share."""

    def call() -> T:
        try:
            return function()
        finally:
            close_old_connections()

    return await asyncio.get_running_loop().run_in_executor(_database, call)
