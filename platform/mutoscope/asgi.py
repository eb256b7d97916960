"""The web server's application: Django, and before it what lasts long or is only bytes.

Live streams (`mutoscope.api.streams`), media on local disk (`mutoscope.files`, with byte ranges, which players
need) and the pages' own files are served without a thread each; everything else is Django's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mutoscope.settings")
django_application = get_asgi_application()  # before what follows: it sets up the apps

from asgi_correlation_id import CorrelationIdMiddleware  # noqa: E402
from django.conf import settings  # noqa: E402
from django.templatetags.static import static  # noqa: E402
from starlette.applications import Starlette  # noqa: E402
from starlette.exceptions import HTTPException  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402
from starlette.requests import Request  # noqa: E402
from starlette.responses import JSONResponse, RedirectResponse, Response  # noqa: E402
from starlette.routing import Mount, Route  # noqa: E402
from starlette.types import ASGIApp, Message, Receive, Scope, Send  # noqa: E402

from assets.storage import FILES, PARTS  # noqa: E402
from mutoscope import files  # noqa: E402
from mutoscope.api.auth import REALM  # noqa: E402
from mutoscope.api.errors import MEDIA_TYPE, problem  # noqa: E402
from mutoscope.api.streams import Hub, job_stream  # noqa: E402
from mutoscope.errors import Refusal  # noqa: E402
from mutoscope.static_files import static_files  # noqa: E402

_ADMIN = "/admin/"


class BodyLimit:
    """Refuses request bodies before, or as soon as, they are too large: over `FORM_MAX_BYTES`.

    Operators may send more, for the adapters that they add in the admin. Parts of uploads are held against what
    was announced.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(PARTS):
            await self.app(scope, receive, send)
            return
        limit: int = settings.UPLOAD_MAX_BYTES if scope["path"].startswith(_ADMIN) else settings.FORM_MAX_BYTES
        length = dict(scope["headers"]).get(b"content-length", b"0")
        announced = int(length) if length.isdigit() else 0
        if announced > limit:
            await _too_large(limit, announced)(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise _BodyTooLarge
            return message

        try:
            await self.app(scope, counted, send)
        except _BodyTooLarge:
            await _too_large(limit, received)(scope, receive, send)


class _BodyTooLarge(Exception):
    pass


def _too_large(limit: int, size: int) -> Response:
    """Where a file of this size may come straight to the storage, the refusal says so."""
    if limit < size <= settings.UPLOAD_MAX_BYTES:
        return _problem(
            413,
            "use_direct_upload",
            f"a request may have at most {limit:,} bytes, but this one has more; "
            "larger files go straight to the storage, by POST /api/v1/uploads",
        )
    limit = settings.UPLOAD_MAX_BYTES
    return _problem(413, "too_large", f"a request may have at most {limit:,} bytes, but this one has more")


def _problem(
    status: int, code: str, detail: str, headers: Mapping[str, str] | None = None, **more: Any
) -> JSONResponse:
    return JSONResponse(problem(status, code, detail, **more), status, headers, media_type=MEDIA_TYPE)


async def favicon(request: Request) -> Response:
    """For pages that name no icon of their own, such as the API docs."""
    return RedirectResponse(static("mutoscope/icon.svg"), headers={"Cache-Control": "public, max-age=86400"})


async def _refused(request: Request, error: Exception) -> Response:
    if isinstance(error, Refusal):
        challenge = {"WWW-Authenticate": REALM} if error.status == 401 else None
        return _problem(error.status, error.code, error.message, challenge, **error.details)
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        return _problem(status, status.name.lower(), f"{status.phrase} here", error.headers)
    return _problem(500, "internal", "something went wrong on our side; the request id finds it in our log")


@contextlib.asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    app.state.hub = Hub()
    tasks = [asyncio.create_task(app.state.hub.run()), asyncio.create_task(app.state.hub.watch())]
    yield
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    await app.state.hub.close()


# Around everything, and not one of Starlette's middlewares: those are inside the one that answers our faults.
application = CorrelationIdMiddleware(
    Starlette(
        routes=[
            Route("/api/v1/jobs/{job_id:uuid}/events/stream", job_stream),
            Route(FILES + "{token}/{name}", files.file),
            Route(PARTS + "{token}", files.part, methods=["PUT"]),
            Route("/favicon.ico", favicon),
            Mount(settings.STATIC_URL, static_files()),
            Mount("/", django_application),  # type: ignore[arg-type]  # two spellings of ASGI
        ],
        middleware=[Middleware(BodyLimit)],
        exception_handlers={Refusal: _refused, HTTPException: _refused, Exception: _refused},
        lifespan=_lifespan,
    )
)
