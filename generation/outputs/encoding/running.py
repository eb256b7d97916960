"""Running ffmpeg on raw frames: fed through a pipe, with pipes out of it for what is packed here."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import ffmpeg

from generation.engines.base import EngineError
from generation.outputs.encoding import png_zip
from generation.outputs.encoding.feeding import Feed, pipe_of
from generation.outputs.encoding.standstill import is_fed, watched
from mutoscope.media import ffmpeg_executable

COMPLAINT_BYTES = 2000


class EncoderFailed(Exception):
    """ffmpeg ended with an error; the text is what it said."""


def failed(error: EncoderFailed) -> EngineError:
    """The error that the platform knows it by."""
    return EngineError("encode_failed", f"ffmpeg could not encode the clip: {error}", "ours")


class Archives:
    """Pipes by which pictures leave ffmpeg, each with a thread that packs them into a ZIP."""

    def __init__(self) -> None:
        self._pipes: dict[Path, tuple[int, int]] = {}
        self._threads: list[threading.Thread] = []
        self._errors: list[OSError] = []

    def name_for(self, target: Path) -> str:
        """What ffmpeg is to write to, so that it becomes the archive `target`."""
        self._pipes[target] = os.pipe()
        return f"pipe:{self._pipes[target][1]}"

    @property
    def descriptors(self) -> list[int]:
        """The ends that ffmpeg writes to."""
        return [end for _, end in self._pipes.values()]

    def start(self) -> None:
        """Begin to pack; ffmpeg has its ends by now, and ours are closed, so that its end ends the pictures."""
        for target, (reading, writing) in self._pipes.items():
            os.close(writing)
            thread = threading.Thread(target=self._pack, args=(reading, target), daemon=True)
            thread.start()
            self._threads.append(thread)
        self._pipes.clear()

    def close(self) -> None:
        """Wait until all is packed; ffmpeg must have ended. Raises `EngineError` (machine)."""
        for ends in self._pipes.values():
            for end in ends:
                os.close(end)
        for thread in self._threads:
            thread.join()
        if self._errors:
            raise EngineError("archive_failed", f"the archive could not be written: {self._errors[0]}", "machine")

    def _pack(self, reading: int, target: Path) -> None:
        # Large: else a picture comes in pieces of a page.
        with os.fdopen(reading, "rb", buffering=2**20) as pictures:
            try:
                png_zip.pack(pictures, target)
            except OSError as error:
                self._errors.append(error)
                while pictures.read(2**20):  # ffmpeg is not to wait for ever
                    pass


def run(
    graph: Any,
    feed: Feed,
    *,
    options: Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
    archives: Archives | None = None,
) -> None:
    """Run the graph on what `feed` hands over.

    Raises `EncoderFailed`, also for one that stands still; and what `feed` raises, after ffmpeg is gone.
    """
    graph = graph.global_args("-hide_banner", "-loglevel", "error", *options).overwrite_output()
    archives = archives or Archives()
    with tempfile.TemporaryFile() as complaints:
        # Not `run_async`: it gives stderr a pipe that nobody reads here.
        encoder = subprocess.Popen(
            ffmpeg.compile(graph, cmd=ffmpeg_executable()),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
            pass_fds=archives.descriptors,
            env={**os.environ, **(environment or {})},
        )
        with watched(encoder, lambda: is_fed(pipe_of(encoder))) as watch:
            try:
                archives.start()
                with suppress(BrokenPipeError):
                    feed(encoder)
                code = encoder.wait()
            finally:
                encoder.kill()
                encoder.wait()
                archives.close()
        if code:
            complaints.seek(0)
            said = complaints.read(COMPLAINT_BYTES).decode(errors="replace").strip()
            raise EncoderFailed(watch.complaint or said or f"exit {code}")
