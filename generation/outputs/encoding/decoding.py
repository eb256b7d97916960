"""Finished clips back into raw frames, one at a time."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import ffmpeg

from generation.engines.base import EngineError
from generation.outputs.encoding.forms import Source
from generation.outputs.encoding.standstill import is_awaited, watched
from mutoscope.media import MediaError, ffmpeg_executable, probe

PIXELS = "yuv420p"
MAX_FPS = 120


@dataclass(frozen=True, slots=True)
class Decoded:
    """A clip, and what comes of it: `source.frames` frames of `frame_bytes` each, of `pixels` in bt709."""

    clip: Path
    source: Source
    pixels: str
    frame_bytes: int
    has_sound: bool

    @classmethod
    def of(cls, clip: Path) -> Decoded:
        """How that clip is decoded. Raises `EngineError` (ours) where it is none."""
        try:
            media = probe(clip)
        except MediaError as error:
            raise EngineError("clip_broken", f"the clip does not decode: {error}", "ours") from error
        video = media.video
        if video is None:
            raise EngineError("clip_broken", "the clip has no pictures", "ours")
        fps = min(MAX_FPS, max(1, round(video.fps)))
        frames = max(1, round(video.frames * fps / (video.fps or fps)))
        # Colours that are halved, as nearly all clips have them, are passed on as they are, not turned into RGB.
        is_halved = video.pix_fmt in {"yuv420p", "yuvj420p", "nv12"} and not (video.width % 2 or video.height % 2)
        pixels, size = (PIXELS, 3 / 2) if is_halved else ("rgb24", 3)
        source = Source(video.width, video.height, fps, frames)
        return cls(clip, source, pixels, int(video.width * video.height * size), media.audio is not None)


def decode(decoded: Decoded) -> Generator[bytes, None, None]:
    """The clip's frames in order, upright, at a steady rate.

    Raises `EngineError`: `clip_broken` (ours), `decoder_stuck` (machine) where ffmpeg stands still.

    To be closed when fewer are wanted: a decoder runs until then.
    """
    source = decoded.source
    clip = ffmpeg.input(f"file:{decoded.clip.resolve()}", protocol_whitelist="file", err_detect="explode")
    video = clip["V:0"]
    video = video.filter("fps", source.fps).filter("tpad", stop=-1, stop_mode="clone")
    video = video.filter("trim", end_frame=source.frames).filter(
        "scale", source.width, source.height, flags="bicubic+accurate_rnd+full_chroma_int+bitexact",
        **({"out_color_matrix": "bt709", "out_range": "tv"} if decoded.pixels == PIXELS else {"out_range": "pc"}),
    )  # fmt: skip
    output = video.output("pipe:", format="rawvideo", pix_fmt=decoded.pixels, fps_mode="passthrough")
    command = ffmpeg.compile(
        output.global_args("-nostdin", "-hide_banner", "-loglevel", "error", "-xerror"), cmd=ffmpeg_executable()
    )
    with tempfile.TemporaryFile() as complaints:
        decoder = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints)
        stdout: IO[bytes] = decoder.stdout  # type: ignore[assignment]  # a pipe: asked for above
        with watched(decoder, lambda: is_awaited(stdout)) as watch:
            try:
                for _ in range(source.frames):
                    frame = stdout.read(decoded.frame_bytes)
                    if len(frame) < decoded.frame_bytes:
                        break
                    yield frame
                else:
                    return
                code = decoder.wait()
            finally:
                decoder.kill()
                decoder.wait()
                stdout.close()
        if watch.complaint:
            raise EngineError("decoder_stuck", f"the clip could not be decoded: {watch.complaint}", "machine")
        complaints.seek(0)
        said = complaints.read(2000).decode(errors="replace").strip()
        raise EngineError("clip_broken", f"the clip does not decode to its end: {said or f'exit {code}'}", "ours")
