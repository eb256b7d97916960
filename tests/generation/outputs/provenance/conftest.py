"""Files to sign, and where this installation keeps its secrets."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import ffmpeg
import pytest
from django.utils import timezone
from PIL import Image

from generation.outputs.provenance import Claim, Ingredient, SourceType
from mutoscope import env
from mutoscope.media import ffmpeg_executable
from tests.conftest import PHOTOGRAPH

OUTPUTS = {
    "mp4": {"vcodec": "libx264", "pix_fmt": "yuv420p", "movflags": "+faststart"},
    "h265.mp4": {"vcodec": "libx265", "tag:v": "hvc1", "movflags": "+faststart", "x265-params": "log-level=0"},
    "mov": {"vcodec": "prores_ks"},
    "webm": {"vcodec": "libvpx-vp9", "deadline": "realtime"},
    "gif": {},
    "webp": {"vcodec": "libwebp_anim"},
    "png": {"vframes": 1},
    "jpg": {"vframes": 1},
}


@pytest.fixture(autouse=True)
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the development certificate is made: a folder of each test's own."""
    monkeypatch.setattr(env, "VAR_DIR", tmp_path / "var")
    return tmp_path / "var" / "secrets"


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("media")


@pytest.fixture
def media(_made: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A file of the kind, 160 × 96, 16 frames where it moves: encoded once, a copy for each test."""

    def make(kind: str) -> Path:
        original = _made / f"clip.{kind}"
        if not original.exists():
            pattern = ffmpeg.input("testsrc=size=160x96:rate=8:duration=2", format="lavfi")
            command = pattern.output(str(original), loglevel="error", **OUTPUTS[kind])
            command.run(cmd=ffmpeg_executable(), overwrite_output=True, quiet=True)
        return Path(shutil.copy(original, tmp_path / original.name))

    return make


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "the-user-s-own-name.png"
    with Image.open(PHOTOGRAPH) as image:
        image.convert("RGB").resize((320, 240)).save(path)
    return path


@pytest.fixture
def claim(photograph: Path) -> Claim:
    return Claim(
        job_id="019a0000-0000-7000-8000-000000000001",
        model="LTX-Video 2B",
        model_version="a6d59ee37c13",
        recipe_sha256="ab" * 32,
        source_type=SourceType.TRAINED,
        made_at=timezone.now(),
        ingredients=(Ingredient(photograph, "image/png", "First picture"),),
    )
