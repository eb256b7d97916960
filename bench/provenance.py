"""What content credentials cost: `python -m bench.provenance`.

Signs clips of several lengths and formats, with a photograph as the ingredient, as the finish stage does: signing,
reading back and checking. Prints the milliseconds of the median of several rounds, and the bytes that are added.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

PHOTOGRAPH = Path(__file__).parents[1] / "platform/mutoscope/demo/coffee.png"
ROUNDS = 5
CLIPS = (
    # name, media type, file, size, seconds, ffmpeg's options
    (
        "MP4, H.264, 720p, 4 s",
        "video/mp4",
        "a.mp4",
        "1280x720",
        4,
        "-c:v libx264 -preset veryfast -crf 18 -pix_fmt yuv420p",
    ),
    (
        "MP4, H.264, 1080p, 10 s",
        "video/mp4",
        "b.mp4",
        "1920x1080",
        10,
        "-c:v libx264 -preset veryfast -crf 18 -pix_fmt yuv420p",
    ),
    ("MOV, ProRes, 1080p, 4 s", "video/quicktime", "c.mov", "1920x1080", 4, "-c:v prores_ks"),
    ("WebP, animated, 480p, 2 s", "image/webp", "d.webp", "854x480", 2, "-c:v libwebp_anim"),
    ("GIF, 480p, 2 s", "image/gif", "e.gif", "854x480", 2, ""),
    ("JPEG, 1080p", "image/jpeg", "f.jpg", "1920x1080", 1, "-frames:v 1"),
)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mutoscope.settings")
    with tempfile.TemporaryDirectory() as folder:
        # No database is asked: the addresses only keep one from being started.
        os.environ.update(
            MUTOSCOPE_VAR=folder, DATABASE_URL="postgresql://nobody/nothing", REDIS_URL="redis://nobody"
        )
        import django

        django.setup()
        print("| file | MB | signing, ms | reading, ms | added, kB |\n|---|---|---|---|---|")
        for name, media_type, file, size, seconds, options in CLIPS:
            clip = Path(folder) / file
            _encode(clip, size, seconds, options)
            signing, reading, added = _measure(clip, media_type)
            size_mb = clip.stat().st_size / 1e6
            print(f"| {name} | {size_mb:.1f} | {signing:.0f} | {reading:.0f} | {added / 1e3:.1f} |", flush=True)


def _encode(clip: Path, size: str, seconds: int, options: str) -> None:
    from mutoscope.media import ffmpeg_executable

    noisy = f"testsrc2=size={size}:rate=24:duration={seconds},noise=alls=3:allf=t"
    command = [
        ffmpeg_executable(),
        "-loglevel",
        "quiet",
        "-y",
        "-f",
        "lavfi",
        "-i",
        noisy,
        *options.split(),
        str(clip),
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _measure(clip: Path, media_type: str) -> tuple[float, float, int]:
    """Milliseconds of `sign` and of `read`, and bytes; the first round warms the library and makes the key."""
    from django.utils import timezone

    from generation.outputs.provenance import Claim, Ingredient, SourceType, read, sign

    claim = Claim(
        job_id="019a0000-0000-7000-8000-000000000001",
        model="LTX-Video 2B",
        model_version="0" * 40,
        recipe_sha256="0" * 64,
        source_type=SourceType.TRAINED,
        made_at=timezone.now(),
        ingredients=(Ingredient(PHOTOGRAPH, "image/png", "First picture"),),
    )
    signing, reading, added = [], [], 0
    for _ in range(ROUNDS + 1):
        copy = Path(shutil.copy(clip, clip.with_name(f"copy-{clip.name}")))
        began = time.perf_counter()
        sign(copy, media_type, claim)
        signed = time.perf_counter()
        read(copy, media_type)
        reading.append(time.perf_counter() - signed)
        signing.append(signed - began)
        added = copy.stat().st_size - clip.stat().st_size
    return statistics.median(signing[1:]) * 1e3, statistics.median(reading[1:]) * 1e3, added


if __name__ == "__main__":
    main()
