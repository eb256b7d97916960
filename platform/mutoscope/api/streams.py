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
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
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
from generation.api.shapes import EtaSerializer, JobSerializer, QueueSerializer
from generation.forecast.outlook import outlooks
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
LOOK_SECONDS = 3.0
"""How often the places of the queued jobs that somebody follows are looked at, all of them at once."""
LOOK_SHARE = 20
"""A look that took long is followed by a rest so many times longer: streams never keep the database busy."""
NEWS_SECONDS, NEWS_SHARE = 10.0, 0.2
"""A job's expected end is told again when it has moved by so much, and by such a share of what is left."""

_database = ThreadPoolExecutor(DATABASE_THREADS, thread_name_prefix="streams")


class Unauthorized(Refusal):
    status = 401
    code = "not_authenticated"


class Message:
    """One event of a stream. The last one says so; two of the same gist need not both be sent."""

    __slots__ = ("data", "event", "gist", "is_last", "line")

    def __init__(
        self, event: str, data: str, *, is_last: bool = False, gist: str = "", line: Line | None = None
    ) -> None:
        self.event, self.data, self.is_last = event, data, is_last
        self.gist, self.line = gist or data, line


class Line:
    """What a stream was last told of a job's place in the line, and of its end."""

    __slots__ = ("eta", "queue")

    def __init__(self, queue: dict[str, Any] | None, eta: dict[str, Any] | None) -> None:
        self.queue, self.eta = queue, eta

    def is_news(self, told: Line) -> bool:
        """Whether it is worth a message to somebody who was told `told`."""
        if self.queue != told.queue or (self.eta is None) != (told.eta is None):
            return True
        if self.eta is None or told.eta is None:
            return False
        ends = datetime.fromisoformat(self.eta["ends_at"])
        moved = abs((ends - datetime.fromisoformat(told.eta["ends_at"])).total_seconds())
        left = (ends - datetime.now(UTC)).total_seconds()
        return moved > max(NEWS_SECONDS, NEWS_SHARE * left)


class Hub:
    """Fans out what Redis says about jobs to the streams that are open on them."""

    def __init__(self) -> None:
        self._listeners: defaultdict[UUID, set[asyncio.Queue[Message]]] = defaultdict(set)
        self._told: dict[UUID, Line] = {}
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
                self._told.pop(job_id, None)
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

    async def watch(self) -> None:
        """Tell the followers of queued jobs how the line moves, until cancelled: one look for all of them."""
        rest = LOOK_SECONDS
        while True:
            await asyncio.sleep(rest)
            began = time.monotonic()
            followed = list(self._told)
            try:
                lines = await _in_database(partial(_lines, followed)) if followed else {}
            except Exception:
                log.exception("the places of the jobs that are followed could not be read")
                lines = {}
            for job_id, line in lines.items():
                told = self._told.get(job_id)
                if told is not None and line.is_news(told):
                    self._told[job_id] = line
                    self._send(job_id, Message("queue", json.dumps({"queue": line.queue, "eta": line.eta})))
            rest = max(LOOK_SECONDS, LOOK_SHARE * (time.monotonic() - began))

    def note(self, job_id: UUID, message: Message) -> None:
        """A stream begins with this snapshot. Of several streams on a job the one told longest ago counts."""
        if message.line is not None and message.line.queue is not None and self._listeners.get(job_id):
            self._told.setdefault(job_id, message.line)

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
            message = await _in_database(
                lambda: _snapshot(Job.objects.select_related("picture", "output__quality").get(pk=job_id))
            )
            self._told.pop(job_id, None)
            self.note(job_id, message)
            self._send(job_id, message)
        except Exception:
            log.exception("the state of job %s could not be read for its listeners", job_id)

    def _send(self, job_id: UUID, message: Message) -> None:
        for queue in self._listeners.get(job_id, ()):
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(message)


async def job_stream(request: Request) -> Response:
    """`GET /api/v1/jobs/{id}/events/stream`: what happens to the job, until it ends.

    Events: `job`, first of all and at every change of state: the whole job, as `GET /api/v1/jobs/{id}` has it;
    `progress`, while it runs: `progress` (0 to 1), `step`, `steps`; `queue`, while it is queued and when that
    changes: its `queue` and `eta`, as in the job.
    """
    job_id: UUID = request.path_params["job_id"]
    hub: Hub = request.app.state.hub
    access = await _in_database(lambda: _access(request))
    await _in_database(lambda: selectors.job(access.workspace, job_id))

    async def events() -> AsyncIterator[ServerSentEvent]:
        async with hub.listen(job_id) as queue:
            # Read after subscribing: whatever happens from here on is in the queue.
            message = await _in_database(lambda: _snapshot(selectors.job(access.workspace, job_id)))
            hub.note(job_id, message)
            yield ServerSentEvent(message.data, event=message.event)
            while not message.is_last:
                try:
                    message = await asyncio.wait_for(queue.get(), RECHECK_SECONDS)
                except TimeoutError:
                    last = message
                    message = await _in_database(lambda: _snapshot(selectors.job(access.workspace, job_id)))
                    if message.gist == last.gist:
                        continue
                yield ServerSentEvent(message.data, event=message.event)

    return EventSourceResponse(events(), ping=PING_SECONDS, headers={"X-Accel-Buffering": "no"})


def _snapshot(job: Job) -> Message:
    body = dict(JobSerializer(job).data)
    return Message(
        "job",
        _json(body),
        is_last=job.state in Job.TERMINAL,
        gist=_json({**body, "eta": None}),  # whose end is reckoned anew each time
        line=Line(body["queue"], body["eta"]),
    )


def _lines(job_ids: Collection[UUID]) -> dict[UUID, Line]:
    """Where those of the jobs stand that are still queued."""
    queued = Job.objects.filter(pk__in=job_ids, state=Job.State.QUEUED)
    return {
        job_id: Line(
            dict(QueueSerializer(found).data) if found.position else None,
            dict(EtaSerializer(found).data) if found.ends_in else None,
        )
        for job_id, found in outlooks(queued).items()
    }


def _json(body: dict[str, Any]) -> str:
    rendered: bytes = JSONRenderer().render(body)
    return rendered.decode()


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
