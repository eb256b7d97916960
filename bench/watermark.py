"""How much the invisible watermark outlives, what it costs, and whether it is ever seen where it is not.

`python -m bench.watermark --pictures FOLDER --raw docs/benchmarks-raw/watermark.jsonl` prints the tables of
docs/benchmarks.md. Photographs in FOLDER take the place of generated pictures; any will do. A line of the raw
file is a clip; clips that are in it already are not tried again, so that a run can be broken off and taken up.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.watermark_clips import Clip, Frame, clips
from generation.outputs.encoding import MASTER, Source, Target, encode
from generation.outputs.watermark.embedding import Embedder
from generation.outputs.watermark.reading import Reading, read_clip, read_picture
from mutoscope.media import ffmpeg_executable

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mutoscope.settings")  # it says which encoders may be used

KEY = b"the benchmark's key".ljust(32)
ISSUED = 1_000_000
"""Marks that an installation has given out: so many a weak one is looked for among."""
UNMARKED_FRAMES = 23
"""Of each clip: 44 clips give more than 1,000."""
SPEED_FRAMES = 120
"""Of the clip that tells what laying it on takes: five seconds."""
X264 = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-crf"]


def _x264(filters: str = "null", crf: int = 23) -> list[str]:
    return ["-vf", filters, *X264, str(crf)]


CHANGES: dict[str, list[str]] = {
    "as delivered": ["-c", "copy"],
    "H.264, CRF 23": _x264(),
    "H.264, CRF 28": _x264(crf=28),
    "H.264, CRF 33": _x264(crf=33),
    "H.265, CRF 28": ["-c:v", "libx265", "-preset", "veryfast", "-crf", "28", "-x265-params", "log-level=none"],
    "VP9, CRF 36": ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "0", "-crf", "36"],
    "scaled to 0.5×": _x264("scale=iw/2:-2"),
    "cropped by 10 %": _x264("crop=iw*0.9:ih*0.9"),
    "cropped by 10 %, scaled back": _x264("scale=iw/0.9:ih/0.9,crop=iw*0.9:ih*0.9"),
    "brightness +20 %": _x264("lutyuv=y=val*1.2"),
    "brightness −20 %": _x264("lutyuv=y=val*0.8"),
    "contrast +20 %": _x264("eq=contrast=1.2"),
    "contrast −20 %": _x264("eq=contrast=0.8"),
    "15 frames a second": _x264("fps=15"),
    "first second cut off": ["-ss", "1", *_x264()],
    "boomerang": [
        "-filter_complex", "[0]split[a][b];[b]reverse[c];[a][c]concat", "-c:v", "libx264", "-preset", "veryfast",
        "-crf", "23",
    ],
    "mirrored": _x264("hflip"),
}  # fmt: skip
SHOTS = {"screenshot of a frame, PNG": ".png", "screenshot of a frame, JPEG": ".jpg"}


def ffmpeg(*arguments: object) -> str:
    """Run ffmpeg; what it says."""
    command = [ffmpeg_executable(), "-hide_banner", "-y", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stderr


def measure(clip: Clip, mark: int, folder: Path, unmarked: dict[str, int] | None) -> dict[str, Any]:
    """One clip: what was found after each change, and what the mark cost; without mark unless that is known."""
    embedder, spent, squares = Embedder(mark, clip.width, clip.height, key=KEY), 0.0, []

    def marked() -> Iterator[Frame]:
        nonlocal spent
        frames = list(clip.draw(clip))
        began = _processor_seconds()
        for frame, made in zip(frames, embedder.laid_on(frames), strict=True):
            spent += _processor_seconds() - began
            squares.append(float(np.mean((made.astype(np.float32) - frame) ** 2)))
            yield made
            began = _processor_seconds()

    paths = {name: folder / f"{name}.mp4" for name in ("plain", "marked", "reference", "changed")}
    _encode(clip, marked(), paths["marked"])
    _encode(clip, clip.draw(clip), paths["plain"])
    _lossless(clip, paths["reference"])
    found, seconds = {}, []
    for name, options in CHANGES.items():
        ffmpeg("-i", paths["marked"], "-an", *options, paths["changed"])
        found[name] = _strength(read_clip, paths["changed"], mark, seconds)
    for name, suffix in SHOTS.items():
        shot = folder / f"shot{suffix}"
        ffmpeg("-i", paths["marked"], "-vf", f"select=eq(n\\,{clip.frames // 2})", "-frames:v", 1, "-q:v", 3, shot)
        found[name] = _strength(read_picture, shot, mark, seconds)
    quality = {name: _quality(paths[name], paths["reference"]) for name in ("plain", "marked")}
    return {
        "clip": clip.name, "size": f"{clip.width}×{clip.height}", "frames": clip.frames, "found": found,
        "psnr_of_mark": _decibels(squares), "quality": quality, "ms_a_frame": spent / clip.frames * 1e3,
        "seconds_to_read": statistics.median(seconds),
        "bytes": {name: paths[name].stat().st_size for name in ("plain", "marked")},
        **(unmarked or _unmarked(clip, paths["plain"], folder)),
    }  # fmt: skip


def _processor_seconds() -> float:
    """Of this process and of those that it started and that have ended."""
    taken = os.times()
    return taken.user + taken.system + taken.children_user + taken.children_system


def _encode(clip: Clip, frames: Iterator[Frame], path: Path) -> None:
    views = (memoryview(np.ascontiguousarray(frame)).cast("B") for frame in frames)
    encode(views, Source(clip.width, clip.height, clip.fps, clip.frames), [Target(path, MASTER)])


def _lossless(clip: Clip, path: Path) -> None:
    """The frames before any encoder lost something, as a reference for VMAF and SSIM."""
    raw = path.with_suffix(".rgb")
    with raw.open("wb") as file:
        for frame in clip.draw(clip):
            file.write(np.ascontiguousarray(frame).data)
    size = ["-s", f"{clip.width}x{clip.height}", "-r", clip.fps]
    ffmpeg(
        "-f", "rawvideo", "-pix_fmt", "rgb24", *size, "-i", raw,
        "-vf", "scale=out_color_matrix=bt709:out_range=tv", "-pix_fmt", "yuv420p",
        "-c:v", "libx264", "-preset", "ultrafast", "-qp", 0, path,
    )  # fmt: skip
    raw.unlink()


def _strength(read: Callable[..., Reading | None], path: Path, mark: int, seconds: list[float]) -> float:
    """In standard deviations; 0 where nothing was found, −1 where another mark was."""
    began = time.process_time()
    reading = read(path, keys=[KEY], issued=ISSUED)
    seconds.append(time.process_time() - began)
    if reading is None:
        return 0.0
    return round(reading.strength, 1) if reading.mark == mark else -1.0


def _quality(path: Path, reference: Path) -> dict[str, float]:
    """VMAF and SSIM of an encoded clip against the frames as they were made."""
    said = ffmpeg(
        "-i", path, "-i", reference, "-lavfi",
        "[0]split[a][b];[1]split[c][d];[a][c]libvmaf=n_subsample=3;[b][d]ssim", "-f", "null", "-",
    )  # fmt: skip
    vmaf, ssim = re.search(r"VMAF score: ([\d.]+)", said), re.search(r"SSIM .*All:([\d.]+)", said)
    assert vmaf
    assert ssim
    return {"vmaf": float(vmaf[1]), "ssim": float(ssim[1])}


def _decibels(squares: Sequence[float]) -> float:
    return round(10 * float(np.log10(255**2 / max(statistics.fmean(squares), 1e-6))), 2)


def _unmarked(clip: Clip, plain: Path, folder: Path) -> dict[str, int]:
    """How many frames without a mark were looked at, and in how many of them one was seen."""
    every = max(1, clip.frames // UNMARKED_FRAMES)
    ffmpeg(
        "-i", plain, "-vf", f"select=not(mod(n\\,{every}))", "-fps_mode", "passthrough", folder / "plain-%03d.png"
    )
    shots = sorted(folder.glob("plain-*.png"))[:UNMARKED_FRAMES]
    seen = sum(read_picture(shot, keys=[KEY], issued=ISSUED) is not None for shot in shots)
    seen_in_clip = read_clip(plain, keys=[KEY], issued=ISSUED) is not None
    for shot in folder.glob("plain-*.png"):
        shot.unlink()
    return {"unmarked": len(shots) + 1, "seen_where_none_is": seen + seen_in_clip}


def speed() -> list[tuple[str, float]]:
    """Milliseconds of processor a frame, at three sizes."""
    rows = []
    for width, height in ((832, 480), (1280, 720), (1920, 1080)):
        clip = replace(clips([], Path(tempfile.mkdtemp()))[0], width=width, height=height, frames=SPEED_FRAMES)
        frames = list(clip.draw(clip))
        embedder = Embedder(1, width, height, key=KEY)
        began = _processor_seconds()
        for _ in embedder.laid_on(frames):
            pass
        rows.append((f"{width} × {height}", (_processor_seconds() - began) / SPEED_FRAMES * 1e3))
    return rows


def report(rows: Sequence[dict[str, Any]]) -> None:
    """The tables of docs/benchmarks.md."""
    print(f"\n{len(rows)} clips\n\n| after | found | weakest | median strength |\n|---|---|---|---|")
    for name in rows[0]["found"]:
        strengths = [row["found"][name] for row in rows]
        right = [strength for strength in strengths if strength > 0]
        share = len(right) / len(rows)
        low = f"{min(right):.1f}" if right else "–"
        print(f"| {name} | {share:.1%} | {low} | {statistics.median(strengths):.1f} |")
    wrong = sum(strength < 0 for row in rows for strength in row["found"].values())
    looked, seen = (sum(row[key] for row in rows) for key in ("unmarked", "seen_where_none_is"))
    print(f"\nread wrongly: {wrong}; seen in {seen} of {looked:,} unmarked frames and clips")
    losses = [row["quality"]["plain"]["vmaf"] - row["quality"]["marked"]["vmaf"] for row in rows]
    ssim = [row["quality"]["plain"]["ssim"] - row["quality"]["marked"]["ssim"] for row in rows]
    worst = max(range(len(rows)), key=losses.__getitem__)
    print(
        f"VMAF lost: mean {statistics.fmean(losses):.2f}, median {statistics.median(losses):.2f}, "
        f"most {losses[worst]:.2f} ({rows[worst]['clip']}); SSIM lost: mean {statistics.fmean(ssim):.4f}; "
        f"PSNR of the mark: mean {statistics.fmean(row['psnr_of_mark'] for row in rows):.1f} dB; "
        f"bytes × {statistics.median(r['bytes']['marked'] / r['bytes']['plain'] for r in rows):.2f} (median)"
    )
    print(f"reading takes {statistics.median(r['seconds_to_read'] for r in rows):.2f} s of a processor (median)")


def try_clip(
    pictures: Path | None, series: int, name: str, mark: int, unmarked: dict[str, int] | None
) -> dict[str, Any]:
    """`measure` of the clip of that name, in a process of its own."""
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        clip = next(each for each in all_clips(pictures, Path(folder), series) if each.name == name)
        return measure(clip, mark, Path(folder), unmarked)


def rows_of(raw: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in raw.read_text().splitlines()]


def all_clips(pictures: Path | None, folder: Path, series: int) -> list[Clip]:
    return clips(sorted(pictures.iterdir()) if pictures else [], folder, series)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=44)
    parser.add_argument("--pictures", type=Path, help="a folder of photographs")
    parser.add_argument("--series", type=int, default=0, help="another has clips that nothing was tuned on")
    parser.add_argument("--raw", type=Path, help="keep each clip's figures here, and take up a run broken off")
    parser.add_argument(
        "--unmarked", type=Path, help="a raw file to take what is known of clips without mark from"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="clips that are tried at once")
    asked = parser.parse_args()
    rows = rows_of(asked.raw) if asked.raw and asked.raw.exists() else []
    # What is seen in clips without mark does not depend on how marks are laid on.
    unmarked = {
        row["clip"]: {key: row[key] for key in ("unmarked", "seen_where_none_is")}
        for row in (rows_of(asked.unmarked) if asked.unmarked else [])
    }
    done = {row["clip"] for row in rows}
    with tempfile.TemporaryDirectory() as folder:
        names = [clip.name for clip in all_clips(asked.pictures, Path(folder), asked.series)]
    # In strides, so that a part of them is as varied as all are.
    chosen = [names[number * 7 % len(names)] for number in range(min(asked.clips, len(names)))]
    with ProcessPoolExecutor(asked.processes, mp_context=get_context("spawn")) as pool:
        tried = [
            pool.submit(
                try_clip,
                asked.pictures,
                asked.series,
                name,
                1 + (number + 50 * asked.series) * 7919 % ISSUED,
                unmarked.get(name),
            )
            for number, name in enumerate(chosen)
            if name not in done
        ]
        for one in as_completed(tried):
            rows.append(row := one.result())
            missed = [name for name, strength in row["found"].items() if strength <= 0]
            print(f"{row['clip']} ({row['size']}): missed {', '.join(missed) or 'none'}", flush=True)
            if asked.raw:
                with asked.raw.open("a") as file:
                    print(json.dumps(row, ensure_ascii=False), file=file)
    report(rows)
    for size, milliseconds in speed():
        print(f"laying it on: {size}: {milliseconds:.1f} ms a frame, one core")


if __name__ == "__main__":
    main()
