"""How fast the preview engine is on this machine: `python bench/preview.py` from the repository's root.

Prints the preparation (prompt, relief, path, plate) and the milliseconds a frame of each move at 720p and
1080p; then the whole 4 s clip at 720p with x264 encoding beside the rendering, next to the encoder alone on
the same frames.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO, cast

import cv2
import imageio_ffmpeg
import numpy as np

from generation.engines.base import EngineRequest, EngineSetup
from generation.engines.preview import PreviewEngine
from generation.engines.preview.engine import prepare, render
from generation.engines.preview.picture import open_picture

PHOTOGRAPH = Path(__file__).parents[1] / "platform/mutoscope/demo/coffee.png"
MOVES = [
    *("push in", "zoom in", "pan left", "tilt up", "roll clockwise", "truck right", "crane up", "orbit left"),
    *("dolly zoom", "handheld", "push in while panning left, then tilt up"),
]
TARGET_SECONDS = 4.0


def request_for(prompt: str, width: int, height: int) -> EngineRequest:
    """4 seconds at 24 frames a second."""
    return EngineRequest("i2v", prompt, width, height, frames=96, fps=24, seed=7, image=PHOTOGRAPH)


def measure(prompt: str, width: int, height: int) -> tuple[float, float, float]:
    """Seconds of preparation, milliseconds of wall and of processor time a frame."""
    request = request_for(prompt, width, height)
    started = time.perf_counter()
    take = prepare(request, open_picture(PHOTOGRAPH, width, height))
    ready, worked = time.perf_counter(), time.process_time()
    for _ in render(take):
        pass
    wall, work = time.perf_counter() - ready, time.process_time() - worked
    return ready - started, wall / request.frames * 1e3, work / request.frames * 1e3


class Encoder:
    """x264 in its own process, fed raw frames through a pipe; a frame sink."""

    def __init__(self, file: Path, width: int, height: int, fps: int) -> None:
        source = f"-f rawvideo -pix_fmt rgb24 -s {width}x{height} -r {fps} -i -".split()
        target = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p", str(file)]
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y", *source, *target]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE)
        self.pipe = cast("IO[bytes]", self.process.stdin)

    def write(self, frame: np.ndarray) -> None:
        """Hand over a frame; waits while the pipe is full."""
        self.pipe.write(frame.data)

    def close(self) -> None:
        """Wait until the file is whole."""
        self.pipe.close()
        if self.process.wait():
            sys.exit(f"ffmpeg failed with {self.process.returncode}")


def whole_clip(file: Path, prompt: str) -> float:
    """Seconds from the request to the finished file."""
    request = request_for(prompt, 1280, 720)
    started = time.perf_counter()
    encoder = Encoder(file, 1280, 720, 24)
    PreviewEngine().generate(request, encoder, lambda done, total: None)
    encoder.close()
    return time.perf_counter() - started


def encode_alone(file: Path, frames: Iterable[np.ndarray]) -> float:
    """Seconds for the same frames when they are already there."""
    started = time.perf_counter()
    encoder = Encoder(file, 1280, 720, 24)
    for frame in frames:
        encoder.write(frame)
    encoder.close()
    return time.perf_counter() - started


def processor() -> str:
    """The processor's name, where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or "unknown processor")


def main() -> None:
    """Measure and print."""
    engine = PreviewEngine()
    engine.load(EngineSetup())
    engine.warm_up()
    print(f"{os.cpu_count()} cores, {processor()}; OpenCV {cv2.__version__} on {cv2.getNumThreads()} threads")
    print("\nms a frame: wall (processor)       720p              1080p       preparation at 720p")
    for prompt in MOVES:
        prepared, wall, work = measure(prompt, 1280, 720)
        _, wall_hd, work_hd = measure(prompt, 1920, 1080)
        figures = f"{wall:6.1f} ({work:5.1f})    {wall_hd:6.1f} ({work_hd:5.1f})"
        print(f"{prompt:32.32} {figures}    {prepared * 1e3:6.0f} ms")

    print("\n4 s at 720p, 24 frames a second, x264 veryfast crf 18: median of 5")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "clip.mp4"
        for prompt in ("push in", "handheld orbit left"):
            take = prepare(request_for(prompt, 1280, 720), open_picture(PHOTOGRAPH, 1280, 720))
            frames = [frame.copy() for frame in render(take)]
            # Taken in turns, so that a busy moment of the machine hits both.
            rounds = [(whole_clip(file, prompt), encode_alone(file, frames)) for _ in range(5)]
            whole, alone = (statistics.median(column) for column in zip(*rounds, strict=True))
            figures = f"whole {whole:5.2f} s, encoder alone {alone:5.2f} s, ratio {whole / alone:4.2f}"
            verdict = "within" if whole <= TARGET_SECONDS else "BEYOND"
            print(f"{prompt:32.32} {figures}; {verdict} {TARGET_SECONDS:.0f} s")


if __name__ == "__main__":
    main()
