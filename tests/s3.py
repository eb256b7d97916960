"""An S3 of our own: moto's server, which takes any signature, behind a check that takes only the right ones.

The check follows Amazon's description of presigned requests ("Authenticating Requests: Using Query Parameters",
AWS Signature Version 4), and is not made with the library that signs.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

ACCESS_KEY, SECRET_KEY, REGION = "key", "secret", "us-east-1"
Start = Callable[[str, list[tuple[str, str]]], Any]


@contextmanager
def s3_server() -> Iterator[str]:
    """Gives its address."""
    app = PrivateBuckets(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=MotoRequestHandler)
    thread = threading.Thread(target=server.serve_forever, name="s3", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()


class PrivateBuckets:
    """WSGI middleware: requests with neither credentials nor a valid presignature are refused, as S3 does."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        if "HTTP_AUTHORIZATION" in environ or environ["REQUEST_METHOD"] == "OPTIONS":
            return self.app(environ, start)
        fault = _fault_of(environ)
        if not fault:
            return self.app(environ, start)
        start("403 Forbidden", [("Content-Type", "application/xml"), ("Connection", "close")])
        return [f"<Error><Code>{fault}</Code></Error>".encode()]


def _fault_of(environ: dict[str, Any]) -> str:
    path, _, query = environ["REQUEST_URI"].partition("?")
    values = dict(parse_qsl(query, keep_blank_values=True))
    signature = values.pop("X-Amz-Signature", "")
    if not signature or values.get("X-Amz-Algorithm") != "AWS4-HMAC-SHA256":
        return "AccessDenied"
    made = datetime.strptime(values["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if datetime.now(UTC) > made + timedelta(seconds=int(values["X-Amz-Expires"])):
        return "AccessDenied"
    signed = values["X-Amz-SignedHeaders"].split(";")
    canonical = "\n".join(
        [
            environ["REQUEST_METHOD"],
            path,
            "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(values.items())),
            *(f"{name}:{_header(environ, name)}" for name in signed),
            "",
            ";".join(signed),
            "UNSIGNED-PAYLOAD",
        ]
    )
    _, day, region, service, _ = values["X-Amz-Credential"].split("/")
    scope = f"{day}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{SECRET_KEY}".encode()
    for step in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{values['X-Amz-Date']}\n{scope}\n{digest}"):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    return "" if hmac.compare_digest(key.hex(), signature) else "SignatureDoesNotMatch"


def _header(environ: dict[str, Any], name: str) -> str:
    plain = name.upper().replace("-", "_")
    return str(environ.get(plain if plain in ("CONTENT_LENGTH", "CONTENT_TYPE") else f"HTTP_{plain}", "")).strip()
