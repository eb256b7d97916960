"""The mark found again, through real encoders; and never where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from generation.outputs.watermark.reading import proof, read_clip, read_picture
from mutoscope.media import MediaError
from tests.generation.outputs.watermark.clips import KEY, MARK, again, clip, frames, marked

KEYS = [KEY]


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clip(tmp_path_factory.mktemp("marked") / "clip.mp4", marked(frames()))


@pytest.mark.parametrize(
    ("crf", "filters"),
    [(28, "null"), (33, "null"), (23, "scale=iw/2:ih/2"), (23, "crop=iw*0.9:ih*0.9"), (23, "eq=brightness=0.2"),
     (23, "eq=contrast=0.8"), (23, "hflip"), (23, "crop=iw*0.9:ih*0.9,scale=512:384")],
)  # fmt: skip
def test_it_is_found_in_a_clip_that_was_changed(delivered: Path, tmp_path: Path, crf: int, filters: str) -> None:
    found = read_clip(again(delivered, tmp_path / "again.mp4", crf, filters), keys=KEYS)
    assert found is not None
    assert found.mark == MARK
    assert found.strength >= proof(MARK, 8)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_it_is_found_in_one_frame(tmp_path: Path, suffix: str) -> None:
    *_, last = marked(frames())
    Image.fromarray(last).save(shot := tmp_path / f"shot{suffix}")
    found = read_picture(shot, keys=KEYS)
    assert found is not None
    assert found.mark == MARK


def test_it_is_found_in_an_animated_picture(tmp_path: Path) -> None:
    first, *others = (Image.fromarray(frame) for frame in marked(frames(count=3)))
    first.save(moving := tmp_path / "moving.webp", save_all=True, append_images=others, quality=80)
    found = read_picture(moving, keys=KEYS)
    assert found is not None
    assert found.mark == MARK


def test_nothing_is_found_without_a_mark_or_with_another_key(delivered: Path, tmp_path: Path) -> None:
    assert read_clip(clip(tmp_path / "plain.mp4", frames()), keys=KEYS) is None
    assert read_clip(delivered, keys=[b"another key"]) is None


def test_an_issued_mark_is_found_where_no_other_would_be(tmp_path: Path) -> None:
    """In more and more noise, until it is too weak for any of 2⁴⁸ marks: of 300,000 one is still told."""
    mark = 123_456
    *_, frame = marked(frames(), mark)
    grain = np.random.default_rng(1).normal(size=(*frame.shape[:2], 1))

    def noisy(level: float) -> Path:
        path = tmp_path / f"{level:.2f}.png"
        Image.fromarray(np.clip(frame + level * grain, 0, 255).astype(np.uint8)).save(path)
        return path

    worn = next(path for path in map(noisy, np.geomspace(15, 60, 20)) if read_picture(path, keys=KEYS) is None)
    found = read_picture(worn, keys=KEYS, issued=300_000)
    assert found is not None
    assert found.mark == mark
    assert proof(300_000, 8) <= found.strength
    assert read_picture(worn, keys=KEYS, issued=mark - 1) is None, "another mark is not told in its place"


def test_nothing_is_found_among_issued_marks_without_one(tmp_path: Path) -> None:
    plain = clip(tmp_path / "plain.mp4", frames())
    assert read_clip(plain, keys=KEYS, issued=1_000_000) is None
    assert read_clip(clip(tmp_path / "clip.mp4", marked(frames())), keys=[b"another"], issued=1_000_000) is None


def test_a_clip_cut_out_of_a_larger_one(tmp_path: Path) -> None:
    """Larger than frames are read at: the size of its cells goes by what it was cut out of."""
    delivered = clip(tmp_path / "clip.mp4", marked(frames(960, 720)), 960, 720)
    cut = again(delivered, tmp_path / "cut.mp4", 23, "crop=iw*0.9:ih*0.9")
    found = read_clip(cut, keys=KEYS, issued=0)
    assert found is not None
    assert found.mark == MARK


def test_an_old_key_is_tried_too(delivered: Path) -> None:
    found = read_clip(delivered, keys=[b"the new key", KEY])
    assert found is not None
    assert found.mark == MARK


@pytest.mark.parametrize("level", [0, 128, 255])
def test_nothing_is_found_in_what_is_flat(tmp_path: Path, level: int) -> None:
    Image.new("RGB", (320, 240), (level,) * 3).save(flat := tmp_path / "flat.png")
    assert read_picture(flat, keys=KEYS) is None


def test_nothing_is_found_in_stripes_and_noise(tmp_path: Path) -> None:
    """Hosts whose own waves are as strong as can be where the mark's are."""
    stripes = np.tile((np.arange(512) % 8 < 4) * 255, (384, 1)).astype(np.uint8)
    noise = np.random.default_rng(1).integers(0, 256, (384, 512)).astype(np.uint8)
    for picture in (stripes, stripes.T, noise):
        Image.fromarray(picture).save(path := tmp_path / "host.png")
        assert read_picture(path, keys=KEYS) is None


def test_a_frame_too_small_to_hold_anything(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20)).save(tiny := tmp_path / "tiny.png")
    assert read_picture(tiny, keys=KEYS) is None


def test_a_small_and_short_clip(tmp_path: Path) -> None:
    """16 frames of 320 × 192 still carry it through the delivery's own compression."""
    path = clip(tmp_path / "small.mp4", marked(frames(320, 192, 16)), 320, 192)
    found = read_clip(path, keys=KEYS)
    assert found is not None
    assert found.mark == MARK


def test_files_that_are_neither(tmp_path: Path) -> None:
    (broken := tmp_path / "broken").write_bytes(b"\x89PNG\r\n\x1a\n" + b"nothing" * 40)
    with pytest.raises(MediaError, match="cannot be read as a picture"):
        read_picture(broken, keys=KEYS)
    with pytest.raises(MediaError):
        read_clip(broken, keys=KEYS)
