"""The figures of a clip that lies in a file."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import ffmpeg
import numpy as np

from generation.outputs.quality.figures import Measured
from generation.outputs.quality.meter import Meter
from generation.outputs.quality.thumbnails import Picture
from mutoscope.media import Fault, MediaError, VideoStream, ffmpeg_executable, probe


def measure(file: Path, *, first: Path | None = None, last: Path | None = None) -> Measured:
    """Decode a clip and measure it; `first` and `last` are the pictures that it was to begin and to end on.

    Raises `MediaError` for a file that is no clip, or does not decode to its end, and `EngineError` (user) for a
    picture that does not decode.
    """
    video = probe(file, strict=True).video
    if video is None:
        raise MediaError(Fault.UNSUPPORTED, f"{file.name} holds no pictures")
    meter = Meter(video.width, video.height, video.fps or 1.0)
    for frame in _frames(file, video):
        meter.see(frame)
    return meter.result(first=first, last=last)


def _frames(file: Path, video: VideoStream) -> Iterator[Picture]:
    """The frames one by one, height × width × 3, RGB."""
    graph = ffmpeg.input(f"file:{file.resolve()}", protocol_whitelist="file")["V:0"].output(
        "pipe:", format="rawvideo", pix_fmt="rgb24", fps_mode="passthrough"
    )
    command = ffmpeg.compile(
        graph.global_args("-nostdin", "-hide_banner", "-loglevel", "error"), cmd=ffmpeg_executable()
    )
    length = video.width * video.height * 3
    with tempfile.TemporaryFile() as complaints:
        decoder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints)
        try:
            with decoder.stdout as stdout:  # type: ignore[union-attr]  # it is a pipe: asked for above
                while len(frame := stdout.read(length)) == length:
                    yield np.frombuffer(frame, np.uint8).reshape(video.height, video.width, 3)
            code = decoder.wait()
        finally:
            decoder.kill()
            decoder.wait()
        if code or frame:
            complaints.seek(0)
            said = complaints.read(500).decode(errors="replace").strip()
            raise MediaError(Fault.DAMAGED, f"{file.name} does not decode: {said or f'exit {code}'}")
