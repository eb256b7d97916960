"""What encoding takes: `python -m bench.outputs [--seconds 10] [--size 1920x1080] [--only mp4,gif]`.

A photograph under a moving camera, with grain, goes through `encode` as raw frames, once a form; each form has a
process of its own, so that the peak of its memory is its own, and that of ffmpeg beside it. Printed are the
seconds, those of all processors together in ffmpeg (which other work on the machine changes less), both peaks, the
frames kept on disk meanwhile, and the file's bit rate. At last a clip twice as long, for what memory depends on.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

import django
import numpy as np
from numpy.typing import NDArray
from PIL import Image

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mutoscope.settings")
os.environ.setdefault("VIDEO_ENCODERS", "software")
django.setup()

from bench.__main__ import machine  # noqa: E402  # after the set-up
from generation.outputs.encoding import (  # noqa: E402
    MASTER,
    PROFILES,
    QUALITIES,
    Form,
    Source,
    Target,
    encode,
    keeps_up,
    previews,
    profile_of,
)
from generation.outputs.watermark.embedding import Embedder  # noqa: E402

PHOTOGRAPH = Path(__file__).parents[1] / "platform/mutoscope/demo/coffee.png"
FPS = 24
MIB = 2**20
COLUMNS = "| form | s | CPU s | CPU s a second of clip | our MiB | ffmpeg's MiB | on disk, MiB | Mbit/s |"


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds by the clock and of all processors, and bytes at the peak; `size` is the file's."""

    seconds: float
    work: float
    own: int
    of_ffmpeg: int
    size: int


def frames(source: Source) -> Iterator[NDArray[np.uint8]]:
    """The photograph, larger than the frame, under a camera that drifts over it; with grain."""
    wide, high = source.width + 240, source.height + 120
    photograph = np.asarray(Image.open(PHOTOGRAPH).convert("RGB").resize((wide, high), Image.Resampling.LANCZOS))
    random = np.random.default_rng(7)
    grain = random.integers(0, 5, (4, source.height, source.width, 3), np.uint8)
    for index in range(source.frames):
        share = index / max(1, source.frames - 1)
        left, top = round(240 * share), round(60 - 60 * np.cos(np.pi * share))
        view = photograph[top : top + source.height, left : left + source.width]
        yield np.minimum(view, 251) + grain[index % 4]


def measure(source: Source, forms: list[Form], answer: Connection) -> None:
    """In a process of its own: encode, and say what it took."""
    with tempfile.TemporaryDirectory() as folder:
        targets = [
            Target(Path(folder) / f"{index}.{profile_of(form).extension}", form)
            for index, form in enumerate(forms)
        ]
        began = time.perf_counter()
        encode(frames(source), source, targets)
        took = time.perf_counter() - began
        answer.send(_taken(took, targets[0].path))


def measure_marked(source: Source, forms: list[Form], answer: Connection) -> None:
    """As `measure`, of frames that get the invisible watermark on their way."""
    embedder = Embedder(1, source.width, source.height, key=b"the benchmark's key")
    with tempfile.TemporaryDirectory() as folder:
        targets = [Target(Path(folder) / "clip.mp4", form) for form in forms]
        began = time.perf_counter()
        encode((marked.data for marked in embedder.laid_on(frames(source))), source, targets)
        took = time.perf_counter() - began
        answer.send(_taken(took, targets[0].path))


def measure_previews(source: Source, forms: list[Form], answer: Connection) -> None:
    """Likewise, of the pictures that are made from a finished clip."""
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        encode(frames(source), source, [Target(clip, form) for form in forms])
        began = time.perf_counter()
        made = previews(clip, Path(folder))
        answer.send(_taken(time.perf_counter() - began, made.preview))


def _taken(seconds: float, file: Path) -> Taken:
    own, ffmpeg = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    work = ffmpeg.ru_utime + ffmpeg.ru_stime
    return Taken(seconds, work, own.ru_maxrss * 1024, ffmpeg.ru_maxrss * 1024, file.stat().st_size)


def in_its_own_process(source: Source, forms: list[Form], target: object = measure) -> Taken:
    """What it takes, measured where nothing else has been."""
    there, here = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=target, args=(source, forms, here))  # type: ignore[arg-type]
    process.start()
    here.close()
    try:
        taken: Taken = there.recv()
    finally:
        process.join()
    return taken


def row(name: str, source: Source, taken: Taken, *, kept: bool = False) -> str:
    """A line of the table."""
    spool = source.width * source.height * 3 * source.frames / MIB if kept else 0
    figures = [
        f"{taken.seconds:.1f}",
        f"{taken.work:.1f}",
        f"{taken.work / source.seconds:.1f}",
        f"{taken.own / MIB:.0f}",
        f"{taken.of_ffmpeg / MIB:.0f}",
        f"{spool:.0f}" if spool else "–",
        f"{taken.size * 8 / 1e6 / source.seconds:.1f}",
    ]
    return f"| {name} | {' | '.join(figures)} |"


def forms_of(formats: list[str]) -> Iterator[tuple[str, list[Form]]]:
    """What is measured, with its name."""
    for format_ in formats:
        for quality in QUALITIES:
            if (format_, quality) != ("png", "best"):  # is png, standard
                yield f"{format_}, {quality}", [Form(format_, quality)]
    if "mp4" in formats:
        yield "mp4, boomerang", [Form(loop="boomerang")]
        yield "mp4, crossfade", [Form(loop="crossfade")]
        yield "mp4, 60 frames a second", [Form(fps=60)]
    if {"mp4", "gif"} <= set(formats):
        yield "gif, boomerang, beside the master", [Form("gif", loop="boomerang"), MASTER]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--only", default=",".join(PROFILES))
    asked = parser.parse_args()
    width, height = map(int, asked.size.split("x"))
    source = Source(width, height, FPS, round(asked.seconds * FPS))
    formats = asked.only.split(",")

    print(f"{width} × {height}, {source.frames} frames, {source.seconds:g} s; {machine()}\n")
    idle = in_its_own_process(replace(source, width=64, height=64, frames=8), [MASTER])
    print(f"At rest (64 × 64, 8 frames): ours {idle.own / MIB:.0f} MiB, ffmpeg {idle.of_ffmpeg / MIB:.0f} MiB\n")
    print(COLUMNS + "\n" + "|---" * COLUMNS.count(" | ") + "|---|", flush=True)
    for name, forms in forms_of(formats):
        kept = not all(keeps_up(source, form) for form in forms)
        print(row(name, source, in_its_own_process(source, forms), kept=kept), flush=True)
    if "mp4" in formats:
        print(row("mp4, watermarked", source, in_its_own_process(source, [MASTER], measure_marked)), flush=True)
        print(row("previews", source, in_its_own_process(source, [MASTER], measure_previews)), flush=True)

    print("\nTwice as long: memory against the clip above")
    longer = replace(source, frames=2 * source.frames)
    for form in (Form(), Form(loop="boomerang"), Form(loop="crossfade"), Form("gif"), Form("webp"), Form("png")):
        if form.format in formats:
            once, twice = (in_its_own_process(length, [form]) for length in (source, longer))
            ours, of_ffmpeg = twice.own / once.own, twice.of_ffmpeg / once.of_ffmpeg
            print(f"- {form.format} {form.loop}: ours {ours:.2f}, ffmpeg's {of_ffmpeg:.2f}", flush=True)


if __name__ == "__main__":
    main()
