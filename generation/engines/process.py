"""The engine process: holds one resident engine and serves one request at a time, as its parent tells it.

The parent speaks over a pipe: `("run", serial, request, slots)` followed by the ring's file descriptor,
`("free", serial, n)` when n more frames of that request have been encoded, `("cancel",)`, `("exit",)`. The
engine answers `("ready",)`, `("step", done, total)`, `("frames", written)`, and at the end of a request one of
`("done", recipe)`, `("cancelled",)` or `("error", EngineError)`.
"""

from __future__ import annotations

import importlib
import logging
import multiprocessing
import os
import signal
import threading
import traceback
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from typing import Any

from generation.engines.base import Cancelled, Engine, EngineError, EngineRequest
from generation.engines.frames import FrameRing, RingSink

log = logging.getLogger(__name__)


def main(dotted_path: str, pipe: Connection) -> None:
    """Run until told to exit, or until the parent is gone."""
    # Ctrl-C reaches the whole group of processes; the parent decides what becomes of this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        engine = make(dotted_path)
        engine.load()
        engine.warm_up()
    except EngineError as error:
        pipe.send(("error", error))
        return
    except Exception as error:
        pipe.send(("error", _unforeseen(error)))
        raise
    pipe.send(("ready",))
    while True:
        message = pipe.recv()
        if message[0] == "exit":
            engine.unload()
            return
        if message[0] == "run":
            _serve(engine, pipe, *message[1:])


def make(dotted_path: str) -> Engine:
    """The engine that `package.module:Class` names. Raises `EngineError` where there is none."""
    module, _, name = dotted_path.partition(":")
    try:
        engine: Engine = getattr(importlib.import_module(module), name)()
    except (ImportError, AttributeError) as error:
        raise EngineError(
            "engine_missing", f"the engine {dotted_path} cannot be loaded: {error}", "ours"
        ) from error
    return engine


class _Line:
    """The engine's end of the pipe during one request: steps and frames go out, room and cancels come in."""

    def __init__(self, pipe: Connection, serial: int, slots: int) -> None:
        self._pipe, self._serial, self._room = pipe, serial, slots

    def on_step(self, done: int, total: int) -> None:
        while self._pipe.poll():
            self._hear()
        self._pipe.send(("step", done, total))

    def announce(self, written: int) -> None:
        self._pipe.send(("frames", written))

    def wait_for_room(self, index: int) -> None:
        while index >= self._room or self._pipe.poll():
            self._hear()

    def _hear(self) -> None:
        message = self._pipe.recv()
        if message[0] == "cancel":
            raise Cancelled
        # The clip before this one may still be encoding: its room is not ours.
        if message[0] == "free" and message[1] == self._serial:
            self._room += message[2]


def _serve(engine: Engine, pipe: Connection, serial: int, request: EngineRequest, slots: int) -> None:
    ring = FrameRing(recv_handle(pipe), request.width, request.height, slots)
    line = _Line(pipe, serial, slots)
    sink = RingSink(ring, line.announce, line.wait_for_room)
    answer: tuple[Any, ...]
    try:
        recipe = engine.generate(request, sink, line.on_step)
        if sink.written != request.frames:
            raise EngineError(
                "frames_missing",
                f"the engine was to make {request.frames} frames, but made {sink.written}",
                "ours",
            )
        answer = ("done", dict(recipe))
    except Cancelled:
        answer = ("cancelled",)
    except EngineError as error:
        answer = ("error", error)
    except Exception as error:  # noqa: BLE001  whatever it is, the next request must not meet it
        answer = ("error", _unforeseen(error))
    sink.close()
    ring.close()
    pipe.send(answer)


def _unforeseen(error: Exception) -> EngineError:
    log.error("the engine failed:\n%s", traceback.format_exc())
    return EngineError("engine_failed", f"the engine failed: {type(error).__name__}: {error}", "ours")


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
