"""Stripe's endpoints as far as we call them, on loopback. The real library talks to it over real HTTP.

Form-encoded bodies, bearer keys, idempotency keys and errors behave as Stripe documents them: the same key
gives the same answer, and one used with other parameters is an error.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qsl

KEY = "sk_test_VERY-SECRET-KEY"
WEBHOOK_SECRET = "whsec_VERY-SECRET-HOOK"


@dataclass
class Call:
    path: str
    form: dict[str, str]
    headers: dict[str, str]


@dataclass
class FakeStripe:
    """What was asked of it, and what it shall answer instead of doing its work."""

    address: str = ""
    calls: list[Call] = field(default_factory=list)
    failures: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    made: int = 0
    """Things that really came into being: a repeated idempotency key makes none."""
    deleted: list[str] = field(default_factory=list)
    """Customers."""
    _kept: dict[str, tuple[dict[str, str], dict[str, Any]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def answer(self, call: Call) -> tuple[int, dict[str, Any]]:
        with self._lock:
            self.calls.append(call)
            if call.headers.get("authorization") != f"Bearer {KEY}":
                return 401, _error("invalid_request_error", "Invalid API Key provided: sk_test_****-KEY")
            if self.failures:
                return self.failures.pop(0)
            key = call.headers["idempotency-key"]
            if key in self._kept:
                form, body = self._kept[key]
                if form != call.form:
                    return 400, _error(
                        "idempotency_error",
                        "Keys for idempotent requests can only be used with the same parameters",
                    )
                return 200, body
            made = self._make(call)
            if made is None:
                return 404, _error("invalid_request_error", f"Unrecognized request URL (POST: {call.path})")
            self._kept[key] = (call.form, made)
            self.made += 1
            return 200, made

    def delete(self, path: str) -> tuple[int, dict[str, Any]]:
        """A customer is deleted once; after that there is none."""
        with self._lock:
            if self.failures:
                return self.failures.pop(0)
            customer = path.rpartition("/")[2]
            if not path.startswith("/v1/customers/") or customer in self.deleted:
                error = _error("invalid_request_error", f"No such customer: '{customer}'")
                error["error"]["code"] = "resource_missing"
                return 404, error
            self.deleted.append(customer)
            return 200, {"id": customer, "object": "customer", "deleted": True}

    def _make(self, call: Call) -> dict[str, Any] | None:
        number = next(self._numbers)
        match call.path:
            case "/v1/customers":
                return {"id": f"cus_{number}", "object": "customer", "name": call.form.get("name")}
            case "/v1/checkout/sessions":
                url = f"https://checkout.stripe.com/c/pay/cs_{number}"
                return {"id": f"cs_{number}", "object": "checkout.session", "url": url}
            case "/v1/billing_portal/sessions":
                url = f"https://billing.stripe.com/p/session/bps_{number}"
                return {"id": f"bps_{number}", "object": "billing_portal.session", "url": url}
        return None


def _error(kind: str, message: str) -> dict[str, Any]:
    return {"error": {"type": kind, "message": message, "code": None}}


@contextmanager
def fake_stripe() -> Iterator[FakeStripe]:
    fake = FakeStripe()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            assert self.headers["Content-Type"] == "application/x-www-form-urlencoded"
            headers = {name.lower(): value for name, value in self.headers.items()}
            self._say(*fake.answer(Call(self.path, dict(parse_qsl(body, keep_blank_values=True)), headers)))

        def do_DELETE(self) -> None:
            assert self.headers["Authorization"] == f"Bearer {KEY}"
            self._say(*fake.delete(self.path))

        def _say(self, status: int, answer: dict[str, Any]) -> None:
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Request-Id", "req_fake")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
