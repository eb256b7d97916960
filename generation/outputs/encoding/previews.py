"""What a library shows of a clip: a poster, a strip of frames to scrub through, and a small moving picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ffmpeg

from generation.outputs.encoding.decoding import PIXELS, Decoded
from generation.outputs.encoding.feeding import straight
from generation.outputs.encoding.forms import Overlay, Source
from generation.outputs.encoding.graph import SCALING, Marks, laid_on
from generation.outputs.encoding.profiles import BITEXACT
from generation.outputs.encoding.running import EncoderFailed, failed, run

MAX_TILES = 16
TILE_SIDE = 192
"""Pixels of a tile's longest side."""
PREVIEW_SIDE, PREVIEW_FPS, PREVIEW_QUALITY = 320, 10, 55
STRIP_QUALITY = 70
POSTER_QUALITY = 3
"""Of JPEG, as ffmpeg counts: 2 is best, 31 is worst."""
EXACT = {"threads": 1, **BITEXACT}


@dataclass(frozen=True, slots=True)
class Previews:
    """The files; the strip has `tiles` frames of equal size in one row, evenly spread from first to last."""

    poster: Path
    strip: Path
    preview: Path
    tiles: int


def previews(clip: Path, folder: Path, overlays: Sequence[Overlay] = ()) -> Previews:
    """Make them from a finished clip, in one ffmpeg run: JPEG of the middle frame in full size, and two WebPs.

    `overlays` are laid on first, for a clip that does not carry the marks that people are to see. Raises
    `EngineError` (ours) for a clip that does not decode.
    """
    source = Decoded.of(clip).source
    made = Previews(
        folder / "poster.jpg", folder / "strip.webp", folder / "preview.webp", min(MAX_TILES, source.frames)
    )
    video = ffmpeg.input(_file(clip), protocol_whitelist="file")["V:0"]
    marks = Marks(overlays)
    for overlay in overlays:
        video = laid_on(video.filter("format", PIXELS), overlay, marks.take(overlay), PIXELS)
    legs = video.filter_multi_output("split", 3)
    files = _poster(legs[0], source, made), _strip(legs[1], source, made), _preview(legs[2], source, made)
    try:
        run(ffmpeg.merge_outputs(*files), straight(()))
    except EncoderFailed as error:
        raise failed(error) from error
    return made


def _poster(video: Any, source: Source, made: Previews) -> Any:
    middle = video.filter("select", f"eq(n,{source.frames // 2})")
    colours = middle.filter("scale", out_range="pc", out_color_matrix="bt601", flags=SCALING)  # as JPEG has them
    options = {"q:v": POSTER_QUALITY, "frames:v": 1}
    return colours.output(_file(made.poster), format="image2", update=1, vcodec="mjpeg", pix_fmt="yuvj420p",
                          **options, **EXACT)  # fmt: skip


def _strip(video: Any, source: Source, made: Previews) -> Any:
    chosen = video.filter("select", "+".join(f"eq(n,{frame})" for frame in spread(source.frames, made.tiles)))
    tiles = chosen.filter("scale", *_fit(source, TILE_SIDE), flags=SCALING).filter("format", "rgb24")
    options = {"frames:v": 1}
    return tiles.filter("tile", f"{made.tiles}x1").output(
        _file(made.strip), format="image2", update=1, vcodec="libwebp", quality=STRIP_QUALITY, pix_fmt="bgra",
        **options, **EXACT,
    )  # fmt: skip


def _preview(video: Any, source: Source, made: Previews) -> Any:
    slower = video.filter("fps", min(PREVIEW_FPS, source.fps), round="up")
    return slower.filter("scale", *_fit(source, PREVIEW_SIDE), flags=SCALING).output(
        _file(made.preview), format="webp", vcodec="libwebp_anim", quality=PREVIEW_QUALITY, compression_level=2,
        pix_fmt="bgra", loop=0, **EXACT,
    )  # fmt: skip


def spread(frames: int, tiles: int) -> Iterator[int]:
    """The frames that a strip shows: the middle of each of so many equal parts."""
    return ((2 * tile + 1) * frames // (2 * tiles) for tile in range(tiles))


def _fit(source: Source, side: int) -> tuple[int, int]:
    share = min(1.0, side / max(source.width, source.height))
    return max(1, round(source.width * share)), max(1, round(source.height * share))


def _file(path: Path) -> str:
    return f"file:{path.resolve()}"
