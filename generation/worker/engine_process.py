"""The parent's side of the engine process: start it, give it work, watch it, kill it when it hangs."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import send_handle
from pathlib import Path
from typing import Any, Protocol

from generation.catalog.schema import Model
from generation.engines import process
from generation.engines.base import Cancelled, EngineError, EngineRequest, EngineSetup, Preempted
from generation.engines.frames import FrameRing
from generation.engines.process import Checkpointing
from generation.worker.drain import Wish

log = logging.getLogger(__name__)

POLL = 0.2
"""Seconds between looks at whether the job is still wanted."""
EXIT_TIMEOUT = 10.0
"""Seconds an engine may take to unload and go."""


class Listener(Protocol):
    """Who follows a request: told what the engine does, and asked what is wanted of it."""

    def on_start(self) -> None:
        """The engine has the request."""

    def on_step(self, done: int, total: int) -> None: ...

    def on_frames(self, written: int) -> None: ...

    def on_checkpoint(self, step: int, file: Path) -> None: ...

    def on_sound(self, file: Path) -> None:
        """The whole clip's sound is in the file, a WAV; said before the last frame, if at all."""

    def wish(self) -> Wish:
        """What is wanted of the engine now; asked every `POLL` seconds, never waits."""


class EngineProcess:
    """One spawned process with one resident model."""

    def __init__(self, model: Model, setup: EngineSetup) -> None:
        self.model, self.setup = model, setup
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._sending = threading.Lock()  # the finish stage says what is free while this one cancels
        self._serial = 0

    @property
    def pid(self) -> int | None:
        """Of the process, while it runs."""
        return self._process.pid if self._process is not None and self._process.is_alive() else None

    def start(self, wanted: Callable[[], bool] = lambda: True) -> None:
        """Bring the engine up, loaded and warm. Does nothing where it is.

        Raises `EngineError` with the reason it could not be, or once it is not `wanted` any more.
        """
        if self.pid is not None:
            return
        self.kill()  # what is left of one that died
        # Spawned and not forked: CUDA does not survive a fork, and the engine's imports stay its own.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe(duplex=True)
        self._process = context.Process(
            target=process.main, args=(self.model.engine, self.setup, theirs), daemon=True
        )
        self._process.start()
        theirs.close()
        deadline = time.monotonic() + self.model.speed.load_seconds * 10 + self.model.speed.stall_seconds
        while not self._pipe.poll(POLL):
            if not wanted():
                self.kill()
                raise EngineError("load_called_off", "the worker was stopped while its model was loading", "")
            if time.monotonic() > deadline:
                self.kill()
                raise EngineError("load_stalled", f"{self.model.name} did not load in time", "machine")
        message = self._receive()
        if message[0] == "error":
            self.kill()
            raise message[1]
        log.info("%s is loaded and warm", self.model.name)

    def run(
        self, request: EngineRequest, ring: FrameRing, checkpointing: Checkpointing, listener: Listener
    ) -> Mapping[str, Any]:
        """Have one request served; returns its recipe.

        Raises `Cancelled` or `Preempted` once the listener wished so (the latter also when it had to kill the
        engine), or `EngineError`: the engine's own, or `machine` when the process died or made no progress for the
        catalog's `stall_seconds` (it is killed then).
        """
        pipe, child = self._connection()
        with self._sending:
            self._serial += 1
            try:
                pipe.send(("run", self._serial, request, ring.slots, checkpointing))
                send_handle(pipe, ring.descriptor, child.pid)
            except OSError as error:
                raise self._died() from error
        try:
            return self._follow(pipe, listener)
        except (Cancelled, Preempted, EngineError):
            raise
        except BaseException:
            self.kill()  # it is still at this request, and its frames would be taken for the next one's
            raise

    def _follow(self, pipe: Connection, listener: Listener) -> Mapping[str, Any]:
        """Listen to the engine until the request has ended."""
        listener.on_start()
        asked = last_sign = time.monotonic()
        said = Wish.GO_ON
        while True:
            now = time.monotonic()
            if now - asked >= POLL:
                asked, said = now, self._pass_on(listener.wish(), said)
            if not pipe.poll(POLL):
                self._check_stall(last_sign)
                continue
            last_sign = time.monotonic()
            if (recipe := self._hear(listener)) is not None:
                return recipe

    def _hear(self, listener: Listener) -> Mapping[str, Any] | None:
        """Pass one message of the engine on; its recipe when it is done. Raises what the engine ended with."""
        match self._receive():
            case ("step", done, total):
                listener.on_step(done, total)
            case ("frames", written):
                listener.on_frames(written)
            case ("checkpoint", step, file):
                listener.on_checkpoint(step, file)
            case ("sound", file):
                listener.on_sound(file)
            case ("done", recipe):
                return dict(recipe)
            case ("cancelled",):
                raise Cancelled
            case ("preempted",):
                raise Preempted
            case ("error", error):
                raise error
        return None

    def _pass_on(self, wish: Wish, said: Wish) -> Wish:
        """Tell the engine what is wanted of it, once. Raises `Preempted` when there is no more time to ask."""
        if wish == Wish.END_NOW:
            log.warning("the engine has not stopped in time; it is killed")
            self.kill()
            raise Preempted
        if said in {wish, Wish.CANCEL}:
            return said
        if wish == Wish.CANCEL:
            self._send("cancel", self._serial)
        if wish == Wish.CHECKPOINT_AND_STOP:
            self._send("checkpoint_and_stop", self._serial)
        return wish

    @property
    def next_serial(self) -> int:
        """The number that the next request will have: what `free_frames` knows it by."""
        return self._serial + 1

    def free_frames(self, serial: int, count: int) -> None:
        """Tell the engine that so many frames more of a request have been taken out of the ring."""
        self._send("free", serial, count)

    def stop(self, timeout: float = EXIT_TIMEOUT) -> None:
        """Unload and end the process; kill it where it does not go within so many seconds."""
        process = self._process
        if process is None:
            return
        try:
            self._send("exit")
            process.join(timeout)
        finally:  # whatever breaks off the waiting: Python does not end before its child processes have
            self.kill()

    def kill(self) -> None:
        """End the process at once. Two threads may: one that stops the worker, and one whose engine it was."""
        process, pipe = self._process, self._pipe
        self._process = self._pipe = None
        if process is not None and process.pid is not None:  # it has been started
            process.kill()
            process.join()
        if pipe is not None:
            pipe.close()

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
        pipe, _ = self._connection()
        try:
            message: tuple[Any, ...] = pipe.recv()
        except (EOFError, OSError) as error:
            raise self._died() from error
        return message

    def _died(self) -> EngineError:
        """What to say of a process that is gone."""
        _, child = self._connection()
        child.join(EXIT_TIMEOUT)
        code = child.exitcode
        self.kill()
        how = f"exit code {code}"
        if code == -signal.SIGKILL:
            how = "killed, perhaps by a system that was out of memory"
        return EngineError("engine_died", f"the engine process died ({how})", "machine")
