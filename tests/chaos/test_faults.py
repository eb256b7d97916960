"""The means of the suite: that a seed repeats its plan, and that what is broken is broken."""

from __future__ import annotations

import os
import random
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from tests.chaos import faults, storage
from tests.chaos.__main__ import FULL, SHORT
from tests.chaos.proxy import Proxy
from tests.conftest import BASE_DIR


@pytest.mark.parametrize("size", [SHORT, FULL])
def test_a_seed_repeats_its_plan_and_every_kind_of_fault_is_in_it(size: Any) -> None:
    first, again = (faults.plan(random.Random(7), size) for _ in range(2))
    assert first == again
    assert first != faults.plan(random.Random(8), size)
    assert {planned.kind for planned in first} == {*faults.PROCESSES, *faults.SERVICES}


def test_a_process_can_be_given_a_wrong_clock() -> None:
    code = (
        "import time, datetime as dt; "
        "print(time.time(), time.time_ns() / 1e9, dt.datetime.now().timestamp(), "
        "dt.datetime.now(dt.UTC).timestamp(), type(dt.datetime.now()) is dt.datetime)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(BASE_DIR / "tests" / "chaos" / "clock"), "CHAOS_CLOCK": "-3600"},
    ).stdout.split()  # fmt: skip
    assert said.pop() == "True"
    for told in map(float, said):
        assert -3660 < told - time.time() < -3540


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(100):
            self.request.sendall(data)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """In front of a server that says everything again."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        proxy = Proxy(server.server_address[1])
        proxy.start()
        yield proxy
        proxy.stop()
        server.shutdown()


def ask(line: socket.socket) -> bytes:
    line.sendall(b"there?")
    return line.recv(100)


def was_dropped(line: socket.socket) -> bool:
    try:
        return ask(line) == b""
    except ConnectionError:
        return True


def call(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=0.5)


def test_a_line_can_fall_silent_and_be_refused_and_be_mended(proxy: Proxy) -> None:
    with call(proxy) as line:
        assert ask(line) == b"there?"
        proxy.silence()
        with pytest.raises(TimeoutError):
            ask(line)
        with call(proxy) as another, pytest.raises(TimeoutError):  # it is accepted, and hears nothing
            ask(another)
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            call(proxy)
        assert was_dropped(line)
        proxy.mend()
    with call(proxy) as line:
        assert ask(line) == b"there?"


def test_a_storage_can_refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUTOSCOPE_VAR", str(tmp_path))
    refusing = storage.RefusingStorage()
    kept = refusing.save("kept", ContentFile(b"all of it"))
    storage.flag().touch()
    with pytest.raises(OSError, match="full"):
        refusing.save("half", ContentFile(b"x" * 1000))
    with pytest.raises(OSError, match="deleted"):
        refusing.delete(kept)
    assert default_storage.size("half") == 64
    storage.flag().unlink()
    refusing.delete(kept)
    assert not refusing.exists(kept)
