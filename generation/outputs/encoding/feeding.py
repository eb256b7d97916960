"""How frames get to an encoder: straight, or over a spool, so that whoever makes them need not wait for it."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import IO, TYPE_CHECKING

from generation.outputs.encoding.spool import Spool

if TYPE_CHECKING:
    from typing_extensions import Buffer

Feed = Callable[[subprocess.Popen[bytes]], None]
"""Hands a process all its frames. Raises BrokenPipeError when it takes no more, and whatever the frames raise."""


def straight(frames: Iterable[Buffer]) -> Feed:
    """Each frame is handed over as it comes."""

    def feed(encoder: subprocess.Popen[bytes]) -> None:
        with pipe_of(encoder) as pipe:
            for frame in frames:
                pipe.write(frame)

    return feed


def over(spool: Spool, frames: Iterator[Buffer], order: Iterable[int]) -> Feed:
    """Frames are kept as they come, behind those in the spool, while a thread hands over those of the order."""

    def feed(encoder: subprocess.Popen[bytes]) -> None:
        relay = _Relay(spool, order, pipe_of(encoder))
        relay.start()
        try:
            spool.keep(relay.while_taken(frames))
        except BrokenPipeError:
            relay.stop()
            raise
        except BaseException:
            encoder.kill()  # else the relay could wait for it for ever
            relay.stop()
            raise
        relay.finish()

    return feed


class _Relay(threading.Thread):
    """Writes frames of a spool into a pipe, in an order that may be ahead of what is there."""

    def __init__(self, spool: Spool, order: Iterable[int], pipe: IO[bytes]) -> None:
        super().__init__(name="frames", daemon=True)
        self._spool, self._order, self._pipe = spool, order, pipe
        self._stopped = threading.Event()
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            with self._pipe as pipe:
                for frame in self._spool.replay(self._order, self._stopped):
                    pipe.write(frame)
        except Exception as error:  # noqa: BLE001  # it is raised again where somebody waits for this thread
            self._error = error

    def while_taken(self, frames: Iterator[Buffer]) -> Iterator[Buffer]:
        """The frames, until there is nobody to take them. What the last one was is kept all the same."""
        for frame in frames:
            yield frame
            if self._error is not None:
                raise self._error

    def stop(self) -> None:
        """Write nothing more."""
        self._stopped.set()
        self._spool.wake()
        self.join()

    def finish(self) -> None:
        """Wait until all is written. Raises what went wrong."""
        self.join()
        if self._error is not None:
            raise self._error


def pipe_of(encoder: subprocess.Popen[bytes]) -> IO[bytes]:
    """Where the encoder takes its frames."""
    return encoder.stdin  # type: ignore[return-value]  # started with a pipe
