"""Previews: a poster, a strip and a small moving picture that show the clip they are of."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from generation.engines.base import EngineError
from generation.outputs.encoding import Form, Overlay, Previews, Source, previews
from generation.outputs.encoding.previews import spread
from tests.generation.outputs.encoding.pictures import Frame, made, moving

LARGE = Source(640, 360, 24, 40)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Previews:
    folder = tmp_path_factory.mktemp("previews")
    return previews(made(folder / "clip.mp4", Form("mp4", "best"), LARGE), folder)


def seen(path: Path) -> Frame:
    return np.asarray(Image.open(path).convert("RGB"))


def test_the_poster_is_the_middle_frame_in_full_size(shown: Previews) -> None:
    with Image.open(shown.poster) as poster:
        assert (poster.format, poster.size) == ("JPEG", (640, 360))
    assert np.abs(seen(shown.poster).astype(int) - list(moving(LARGE))[20]).mean() < 3


def test_the_strip_has_a_tile_for_each_part_of_the_clip(shown: Previews) -> None:
    strip = seen(shown.strip)
    assert shown.tiles == 16
    assert strip.shape == (108, 16 * 192, 3)
    whole = list(moving(LARGE))
    for tile, index in enumerate(spread(LARGE.frames, 16)):
        wanted = np.asarray(Image.fromarray(whole[index]).resize((192, 108), Image.Resampling.BICUBIC))
        assert np.abs(strip[:, tile * 192 : tile * 192 + 192].astype(int) - wanted).mean() < 6


def test_the_preview_is_small_and_as_long_as_the_clip(shown: Previews) -> None:
    with Image.open(shown.preview) as preview:
        assert (preview.format, preview.size, preview.info["loop"]) == ("WEBP", (320, 180), 0)
        lengths = []
        for index in range(preview.n_frames):
            preview.seek(index)
            preview.load()
            lengths.append(preview.info["duration"])
    assert len(lengths) == 17
    assert sum(lengths) / 1000 == pytest.approx(LARGE.seconds, abs=0.1)


def test_short_and_upright_clips_have_previews_too(tmp_path: Path) -> None:
    short = replace(LARGE, width=90, height=160, frames=3)
    found = previews(made(tmp_path / "clip.mp4", Form(), short), tmp_path)
    assert (found.tiles, seen(found.strip).shape) == (3, (160, 270, 3))
    assert seen(found.poster).shape == (160, 90, 3)


def test_the_same_clip_gives_the_same_previews(shown: Previews, tmp_path: Path) -> None:
    shutil.copy(shown.poster.parent / "clip.mp4", tmp_path)
    again = previews(tmp_path / "clip.mp4", tmp_path)
    for name in ("poster", "strip", "preview"):
        assert getattr(again, name).read_bytes() == getattr(shown, name).read_bytes()


def test_marks_are_seen_on_all_of_them(shown: Previews, tmp_path: Path) -> None:
    Image.new("RGBA", (160, 90), (255, 0, 0, 255)).save(tmp_path / "mark.png")
    corner = Overlay(tmp_path / "mark.png", "main_w-overlay_w", "main_h-overlay_h")
    found = previews(shown.poster.parent / "clip.mp4", tmp_path, [corner])
    for path in (found.poster, found.strip, found.preview):
        assert np.abs(seen(path)[-12, -12].astype(int) - (255, 0, 0)).max() < 40, path.name
    assert np.abs(seen(shown.poster)[-12, -12].astype(int) - (255, 0, 0)).max() > 80


def test_a_clip_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"not a clip")
    with pytest.raises(EngineError, match="the clip does not decode") as caught:
        previews(tmp_path / "clip.mp4", tmp_path)
    assert caught.value.blame == "ours"
