"""The parent's side of the engine process: start it, give it work, watch it, kill it when it hangs."""

from __future__ import annotations

import logging
import multiprocessing
import threading
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import send_handle
from typing import Any

from generation.catalog.schema import Model
from generation.engines import process
from generation.engines.base import Cancelled, EngineError, EngineRequest
from generation.engines.frames import FrameRing

log = logging.getLogger(__name__)

POLL = 0.2
"""Seconds between looks at whether the job is still wanted."""
EXIT_TIMEOUT = 10.0
"""Seconds an engine may take to unload and go."""


class EngineProcess:
    """One spawned process with one resident model. It is started again by itself when it has died."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._sending = threading.Lock()  # the finish stage says what is free while this one cancels
        self._serial = 0

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.is_alive()

    def start(self) -> bool:
        """Bring the engine up, loaded and warm, unless it is. Returns whether it was not.

        Raises `EngineError` with the reason it could not be.
        """
        if self.is_alive:
            return False
        # Spawned and not forked: CUDA does not survive a fork, and the engine's imports stay its own.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe(duplex=True)
        self._process = context.Process(target=process.main, args=(self.model.engine, theirs), daemon=True)
        self._process.start()
        theirs.close()
        deadline = time.monotonic() + self.model.speed.load_seconds * 10 + self.model.speed.stall_seconds
        while not self._pipe.poll(POLL):
            if time.monotonic() > deadline:
                self.kill()
                raise EngineError("load_stalled", f"{self.model.name} did not load in time", "machine")
        message = self._receive()
        if message[0] == "error":
            self.kill()
            raise message[1]
        log.info("%s is loaded and warm", self.model.name)
        return True

    def run(
        self,
        request: EngineRequest,
        ring: FrameRing,
        *,
        on_step: Callable[[int, int], None],
        on_frames: Callable[[int], None],
        is_wanted: Callable[[], bool],
    ) -> Mapping[str, Any]:
        """Have one request served; returns its recipe.

        `is_wanted` is asked every `POLL` seconds. Raises `Cancelled` once it has said no, or `EngineError`:
        the engine's own, or `machine` when the process died or made no progress for the catalog's
        `stall_seconds` (it is killed then, and started again by the next `start`).
        """
        pipe, child = self._connection()
        with self._sending:
            self._serial += 1
            pipe.send(("run", self._serial, request, ring.slots))
            send_handle(pipe, ring.descriptor, child.pid)
        asked = last_sign = time.monotonic()
        cancelled = False
        while True:
            now = time.monotonic()
            if now - asked >= POLL and not cancelled:
                asked = now
                if not is_wanted():
                    cancelled = True
                    self._send("cancel")
            if not pipe.poll(POLL):
                self._check_stall(last_sign)
                continue
            last_sign = time.monotonic()
            match self._receive():
                case ("step", done, total):
                    on_step(done, total)
                case ("frames", written):
                    on_frames(written)
                case ("done", recipe):
                    return dict(recipe)
                case ("cancelled",):
                    raise Cancelled
                case ("error", error):
                    raise error

    @property
    def next_serial(self) -> int:
        """The number that the next request will have: what `free_frames` knows it by."""
        return self._serial + 1

    def free_frames(self, serial: int, count: int) -> None:
        """Tell the engine that so many frames more of a request have been taken out of the ring."""
        self._send("free", serial, count)

    def stop(self) -> None:
        """Unload and end the process; kill it where it does not go."""
        if self._process is None or self._pipe is None:
            return
        self._send("exit")
        self._process.join(EXIT_TIMEOUT)
        self.kill()

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None

    def _check_stall(self, last_sign: float) -> None:
        patience = self.model.speed.stall_seconds
        if time.monotonic() - last_sign > patience:
            self.kill()
            raise EngineError("engine_stalled", f"the engine made no progress for {patience:g} s", "machine")

    def _send(self, *message: Any) -> None:
        with self._sending:
            if self._pipe is not None:
                try:
                    self._pipe.send(message)
                except OSError:
                    log.debug("the engine is gone, and %s with it", message[0])

    def _connection(self) -> tuple[Connection, BaseProcess]:
        if self._pipe is None or self._process is None:
            raise EngineError("engine_missing", "the engine is not running", "machine")
        return self._pipe, self._process

    def _receive(self) -> tuple[Any, ...]:
        pipe, child = self._connection()
        try:
            message: tuple[Any, ...] = pipe.recv()
        except (EOFError, OSError) as error:
            child.join()
            code = child.exitcode
            self.kill()
            raise EngineError("engine_died", f"the engine process died (exit code {code})", "machine") from error
        return message
