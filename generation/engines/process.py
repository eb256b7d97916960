"""The engine process: holds one resident engine and serves one request at a time, as its parent tells it.

The parent speaks over a pipe: `("run", serial, request, slots, checkpointing)` followed by the ring's file
descriptor, `("free", serial, n)` when n more frames of that request have been encoded, `("cancel", serial)`,
`("checkpoint_and_stop", serial)`, `("exit",)`. The engine answers `("ready",)`, `("step", done, total)`,
`("checkpoint", step, file)`, `("frames", written)`, `("sound", file)`, and at the end of a request one of
`("done", recipe)`, `("cancelled",)`, `("preempted",)` or `("error", EngineError)`.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
import wave
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from generation.engines.base import Cancelled, Engine, EngineError, EngineRequest, EngineSetup, Preempted
from generation.engines.frames import FrameRing, RingSink

if TYPE_CHECKING:
    from generation.engines.base import Sound

log = logging.getLogger(__name__)

PACKAGES = frozenset({"torch", "diffusers", "transformers"})
"""What engines need and a machine without GPUs may do without."""


@dataclass(frozen=True, slots=True)
class Checkpointing:
    """Where the checkpoints of one request are written, and how often (seconds)."""

    folder: Path
    interval: float


def main(dotted_path: str, setup: EngineSetup, pipe: Connection) -> None:
    """Load the engine and run until told to exit, or until the parent is gone."""
    # Ctrl-C and SIGTERM reach the whole group of processes; the parent decides what becomes of this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _die_with_parent()
    try:
        engine = make(dotted_path)
        engine.load(setup)
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
        lacks_package = isinstance(error, ModuleNotFoundError) and error.name in PACKAGES
        hint = "; install the engines' packages with: make setup-gpu" if lacks_package else ""
        raise EngineError(
            "engine_missing", f"the engine {dotted_path} cannot be loaded: {error}{hint}", "ours"
        ) from error
    return engine


class _Line:
    """The engine's end of the pipe during one request: steps, frames and checkpoints go out; room, cancels and
    the wish to stop come in. It is the `Checkpoints` that the engine is given."""

    def __init__(self, pipe: Connection, serial: int, slots: int, checkpointing: Checkpointing) -> None:
        self._pipe, self._serial, self._room = pipe, serial, slots
        self._checkpointing = checkpointing
        self._last_checkpoint = time.monotonic()
        self._must_stop = False

    def on_step(self, done: int, total: int) -> None:
        self._hear_all()
        self._pipe.send(("step", done, total))

    def due(self) -> bool:
        self._hear_all()
        return self._must_stop or time.monotonic() - self._last_checkpoint >= self._checkpointing.interval

    def save(self, step: int, write: Callable[[Path], None]) -> None:
        file = self._checkpointing.folder / f"checkpoint-{step}"
        try:
            write(file)
        except OSError as error:  # a full disk costs the checkpoint, not the job
            log.warning("the checkpoint at step %d could not be written: %s", step, error)
            file.unlink(missing_ok=True)
        else:
            self._pipe.send(("checkpoint", step, file))
        self._last_checkpoint = time.monotonic()
        if self._must_stop:
            raise Preempted

    def announce(self, written: int) -> None:
        self._pipe.send(("frames", written))

    def sound(self, samples: Sound, rate: int) -> None:
        file = self._checkpointing.folder / "sound.wav"
        with wave.open(str(file), "wb") as target:
            target.setnchannels(samples.shape[1])
            target.setsampwidth(samples.itemsize)
            target.setframerate(rate)
            target.writeframes(samples.tobytes())
        self._pipe.send(("sound", file))

    def wait_for_room(self, index: int) -> None:
        while index >= self._room or self._pipe.poll():
            self._hear()

    def _hear_all(self) -> None:
        while self._pipe.poll():
            self._hear()

    def _hear(self) -> None:
        message = self._pipe.recv()
        if message[0] == "exit":
            raise SystemExit
        # The clip before this one may still be encoding: its room is not ours. A wish to stop that crossed the
        # end of the request before is not ours either.
        if message[1] != self._serial:
            return
        if message[0] == "cancel":
            raise Cancelled
        if message[0] == "checkpoint_and_stop":
            self._must_stop = True
        if message[0] == "free":
            self._room += message[2]


def _serve(
    engine: Engine, pipe: Connection, serial: int, request: EngineRequest, slots: int, checkpointing: Checkpointing
) -> None:
    ring = FrameRing(recv_handle(pipe), request.width, request.height, slots)
    line = _Line(pipe, serial, slots, checkpointing)
    sink = RingSink(ring, line.announce, line.wait_for_room, line.sound)
    try:
        answer = _generate(engine, request, sink, line)
    finally:
        sink.close()
        ring.close()
    pipe.send(answer)


def _generate(engine: Engine, request: EngineRequest, sink: RingSink, line: _Line) -> tuple[Any, ...]:
    """Have the engine make the clip; what the parent is told at the end."""
    try:
        recipe = engine.generate(request, sink, line.on_step, line)
        if sink.written != request.frames:
            raise EngineError(
                "frames_missing",
                f"the engine was to make {request.frames} frames, but made {sink.written}",
                "ours",
            )
        # Plain types alone: what a library calls a string may need the whole library where it is unpickled.
        return "done", json.loads(json.dumps(dict(recipe)))
    except Cancelled:
        return ("cancelled",)
    except Preempted:
        return ("preempted",)
    except EngineError as error:
        return "error", error
    except MemoryError:
        return "error", EngineError("out_of_memory", "the machine's main memory did not suffice", "machine")
    except Exception as error:  # noqa: BLE001  whatever it is, the next request must not meet it
        return "error", _unforeseen(error)


def _unforeseen(error: Exception) -> EngineError:
    log.error("the engine failed:\n%s", traceback.format_exc())
    return EngineError("engine_failed", f"the engine failed: {type(error).__name__}: {error}", "ours")


def _die_with_parent() -> None:
    """Let nothing keep this process when its parent is gone, however long the engine's code holds on."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    if sys.platform == "linux":
        # The kernel does it even while a library holds Python's lock; a thread can do it everywhere.
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
        if os.getppid() != parent.pid:  # it went before we asked
            os._exit(1)

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
