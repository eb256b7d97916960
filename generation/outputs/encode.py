"""Frames to an MP4, in one ffmpeg pass that runs while the frames are still being made; sound under it after."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import ffmpeg

from generation.engines.base import EngineError
from mutoscope.media import ffmpeg_executable

CRF = 18
PRESET = "veryfast"
THREADS = 4
"""Fixed, and not the machine's: the same frames must give the same bytes wherever they are encoded."""
SOUND_BITRATE = "192k"
"""AAC of stereo at this rate is hard to tell from what it was made of."""
LAYOUT: dict[str, Any] = {
    "movflags": "+faststart",
    "fflags": "+bitexact",
    "map_metadata": -1,
}
"""Of every MP4: playable while it loads, without a trace of when, where and by which ffmpeg it was made."""


def encode_mp4(
    frames: Iterable[memoryview],
    target: Path,
    *,
    width: int,
    height: int,
    fps: int,
    crop: tuple[int, int] | None = None,
) -> None:
    """Encode RGB frames (uint8, height × width × 3 each) as H.264, yuv420p, bt709, moov first.

    `crop` is the width and height of the middle that is shown; None is all.
    Raises `EngineError` (ours) when ffmpeg fails, and whatever `frames` raises, after ffmpeg is gone.
    """
    video = ffmpeg.input("pipe:", format="rawvideo", pix_fmt="rgb24", video_size=(width, height), framerate=fps)
    if crop and crop != (width, height):
        video = video.filter("crop", *crop)
    graph = video.filter("scale", out_color_matrix="bt709", out_range="tv").output(
        str(target),
        vcodec="libx264",
        preset=PRESET,
        crf=CRF,
        pix_fmt="yuv420p",
        threads=THREADS,
        colorspace="bt709",
        color_primaries="bt709",
        color_trc="bt709",
        color_range="tv",
        flags="+bitexact",
        **LAYOUT,
    )
    _run(graph, frames)


def add_sound(clip: Path, sound: Path, target: Path, *, seconds: float) -> None:
    """Copy the clip's pictures as they are, and lay the sound under them as AAC.

    Sound that is longer than the clip is cut, sound that is shorter is followed by silence.
    Raises `EngineError` (ours) when ffmpeg fails.
    """
    waves = ffmpeg.input(str(sound)).audio.filter("apad", whole_dur=seconds).filter("atrim", end=seconds)
    graph = ffmpeg.output(
        ffmpeg.input(str(clip)).video,
        waves,
        str(target),
        vcodec="copy",
        acodec="aac",
        **{"b:a": SOUND_BITRATE, "flags:a": "+bitexact"},
        **LAYOUT,
    )
    _run(graph, ())


def _run(graph: Any, frames: Iterable[memoryview]) -> None:
    graph = graph.global_args("-hide_banner", "-loglevel", "error").overwrite_output()
    with tempfile.TemporaryFile() as complaints:
        # Not `run_async`: it gives stderr a pipe that nobody reads here.
        _feed(ffmpeg.compile(graph, cmd=ffmpeg_executable()), frames, complaints)


def _feed(command: list[str], frames: Iterable[memoryview], complaints: IO[bytes]) -> None:
    encoder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=complaints)
    try:
        with encoder.stdin as stdin:  # type: ignore[union-attr]  # it is a pipe: asked for above
            for frame in frames:
                stdin.write(frame)
        code = encoder.wait()
    except BrokenPipeError:
        code = encoder.wait()
    finally:
        encoder.kill()
        encoder.wait()
    if code:
        complaints.seek(0)
        said = complaints.read(2000).decode(errors="replace").strip()
        raise EngineError("encode_failed", f"ffmpeg could not encode the clip: {said or f'exit {code}'}", "ours")
