"""What a library shows of a clip: a poster, a strip of frames to scrub through, and a small moving picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ffmpeg

from generation.outputs.encoding.decoding import Decoded
from generation.outputs.encoding.graph import SCALING
from generation.outputs.encoding.running import EncoderFailed, failed, run

MAX_TILES = 16
TILE_SIDE = 192
"""Pixels of a tile's longest side."""
PREVIEW_SIDE, PREVIEW_FPS, PREVIEW_QUALITY = 320, 10, 55
POSTER_QUALITY = 3
"""Of JPEG, as ffmpeg counts: 2 is best, 31 is worst."""


@dataclass(frozen=True, slots=True)
class Previews:
    """The files; the strip has `tiles` frames of equal size in one row, evenly spread from first to last."""

    poster: Path
    strip: Path
    preview: Path
    tiles: int


def previews(clip: Path, folder: Path) -> Previews:
    """Make them from a finished clip, in one ffmpeg run: JPEG of the middle frame in full size, and two WebPs.

    Raises `EngineError` (ours) for a clip that does not decode.
    """
    source = Decoded.of(clip).source
    made = Previews(
        folder / "poster.jpg", folder / "strip.webp", folder / "preview.webp", min(MAX_TILES, source.frames)
    )
    legs = ffmpeg.input(f"file:{clip.resolve()}", protocol_whitelist="file")["V:0"].filter_multi_output("split", 3)
    exact = {"fflags": "+bitexact", "flags": "+bitexact", "map_metadata": -1, "threads": 1}
    poster = (
        legs[0]
        .filter("select", f"eq(n,{source.frames // 2})")
        .filter("scale", out_range="pc", out_color_matrix="bt601", flags=SCALING)
        .output(_file(made.poster), format="image2", update=1, vcodec="mjpeg", pix_fmt="yuvj420p",
                **{"q:v": POSTER_QUALITY, "frames:v": 1}, **exact)
    )  # fmt: skip
    tiles = "+".join(f"eq(n,{frame})" for frame in spread(source.frames, made.tiles))
    strip = (
        legs[1]
        .filter("select", tiles)
        .filter("scale", *_fit(source.width, source.height, TILE_SIDE), flags=SCALING)
        .filter("format", "rgb24")
        .filter("tile", f"{made.tiles}x1")
        .output(_file(made.strip), format="image2", update=1, vcodec="libwebp", quality=70, pix_fmt="bgra",
                **{"frames:v": 1}, **exact)
    )  # fmt: skip
    preview = (
        legs[2]
        .filter("fps", min(PREVIEW_FPS, source.fps), round="up")
        .filter("scale", *_fit(source.width, source.height, PREVIEW_SIDE), flags=SCALING)
        .output(_file(made.preview), format="webp", vcodec="libwebp_anim", quality=PREVIEW_QUALITY,
                compression_level=2, pix_fmt="bgra", loop=0, **exact)
    )  # fmt: skip
    try:
        run(ffmpeg.merge_outputs(poster, strip, preview), ())
    except EncoderFailed as error:
        raise failed(error) from error
    return made


def spread(frames: int, tiles: int) -> Iterator[int]:
    """The frames that a strip shows: the middle of each of so many equal parts."""
    return ((2 * tile + 1) * frames // (2 * tiles) for tile in range(tiles))


def _fit(width: int, height: int, side: int) -> tuple[int, int]:
    share = min(1.0, side / max(width, height))
    return max(1, round(width * share)), max(1, round(height * share))


def _file(path: Path) -> str:
    return f"file:{path.resolve()}"
