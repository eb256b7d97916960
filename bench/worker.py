"""A whole worker with a real model: how long it takes to stand ready, and what its GPU waits for between two jobs.

`python -m bench.worker`, on a machine with a GPU of 80 GB and 20 GB of disk. LTX-Video 2B with random weights in
full size, text encoder included, is saved as published weights are and served by `manage.py worker`: jobs come
through the API, clips through the ring, ffmpeg and the storage. Everything is started in `var/bench/` and stopped
again.

The first start finds no compiled code and weights that no process has read yet; the second one finds both. The
engine is `bench.timed`'s: the real one, which notes the time.

    --jobs 6       jobs that wait in a row
    --steps 30,8   their steps, one row after the other
    --out FILE     rows as JSON lines (default: worker.jsonl)
    --tiny         a tiny model, on any machine: whether the benchmark itself works
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil

from bench.gpu_use import GpuUse
from bench.jobs import a_client
from bench.setting import platform_running

if TYPE_CHECKING:
    from generation.catalog.schema import Model
    from mutoscope.stack import Stack

HOME = Path(__file__).parents[1]
VAR = Path(os.environ["MUTOSCOPE_VAR"])
CATALOG, CLOCK, CACHE = VAR / "catalog", VAR / "engine-clock.jsonl", VAR / "engine-cache"
PICTURE = HOME / "platform" / "mutoscope" / "demo" / "coffee.png"
SHIPPED = HOME / "generation" / "catalog" / "ltx-video-2b.toml"
TINY = HOME / "tests" / "catalog" / "tiny-ltx.toml"
MODEL = "timed"
WORKER = "worker-timed"
PORT = 8767
PACKAGES = ("torch", "diffusers", "transformers", "fa3-fwd", "triton", "celery", "psycopg", "redis")
STAGES = ("worker", "packages", "weights", "warm_up", "ready")
PARTS = ("post", "begin", "words", "denoise", "decode", "hand_over", "publish", "whole")
SAVE_TIMEOUT, START_TIMEOUT, CLIP_TIMEOUT, STOP_TIMEOUT = 240.0, 240.0, 180.0, 20.0
"""Seconds."""


@dataclass(frozen=True)
class Rows:
    """What was measured: in the file as soon as it is known."""

    file: Path

    def add(self, **row: Any) -> dict[str, Any]:
        with self.file.open("a") as out:
            out.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)
        return row


def main() -> None:
    parser = argparse.ArgumentParser(description="A worker's way to ready, and its GPU between two jobs.")
    parser.add_argument("--jobs", type=int, default=6)
    parser.add_argument("--steps", default="30,8")
    parser.add_argument("--out", type=Path, default=Path("worker.jsonl"))
    parser.add_argument("--tiny", action="store_true")
    asked = parser.parse_args()
    asked.out.unlink(missing_ok=True)
    rows = Rows(asked.out)
    make_catalog(TINY if asked.tiny else SHIPPED)
    os.environ |= {
        "CATALOG_FOLDERS": f"{os.environ['CATALOG_FOLDERS']},{CATALOG}",
        "ENGINE_CACHE": str(CACHE),
        "ENGINE_CLOCK": str(CLOCK),
        "LOG_LEVEL": "INFO",
    }
    shutil.rmtree(CACHE, ignore_errors=True)
    with platform_running(PORT, models=()) as platform:
        weights = weights_saved(tiny=asked.tiny)
        rows.add(what="machine", **machine(), weights_gib=size_of(weights))
        forget_cached(weights)
        starts = [start(platform, rows, "first")]
        stop(platform)
        starts.append(start(platform, rows, "again"))
        with httpx_client(platform) as client:
            picture = upload(client)
            alone = one_job(platform, client, rows, picture, steps=int(asked.steps.split(",")[0]))
            lines = [
                in_a_row(platform, client, rows, picture, count=asked.jobs, steps=int(steps))
                for steps in asked.steps.split(",")
            ]
        stop(platform)
    print_tables(starts, alone, lines)


# --- The model ------------------------------------------------------------------------------------------------


def make_catalog(shipped: Path) -> None:
    """The shipped model under another name, so that its engine may note the time."""
    text = shipped.read_text("utf-8")
    own = {"slug": MODEL, "engine": "bench.timed:TimedLTXEngine"}
    lines = [
        f'{name} = "{own[name]}"' if (name := line.partition(" = ")[0]) in own else line
        for line in text.splitlines()
    ]
    CATALOG.mkdir(parents=True, exist_ok=True)
    (CATALOG / f"{MODEL}.toml").write_text("\n".join(lines) + "\n", "utf-8")


def model() -> Model:
    from generation import catalog

    return catalog.models()[MODEL]


def weights_saved(*, tiny: bool) -> Path:
    """The folder that the worker will load from, filled where it is not yet."""
    from generation.weights.folders import weights_folder

    folder = weights_folder(model())
    assert folder is not None
    if not folder.exists():
        half = folder.with_name(f"{folder.name}.half")
        shutil.rmtree(half, ignore_errors=True)
        # In a process of its own: this one must hold none of the GPU's memory.
        saving = multiprocessing.get_context("spawn").Process(target=save_weights, args=(half, tiny))
        saving.start()
        saving.join(SAVE_TIMEOUT)
        saving.kill()
        if saving.exitcode:
            raise RuntimeError(f"the weights could not be saved in {half}: exit code {saving.exitcode}")
        half.rename(folder)
    return folder


def save_weights(folder: Path, tiny: bool) -> None:
    """Random weights in the published layout."""
    import torch

    from bench.random_models.engines import SPECS, TINY
    from bench.random_models.pipelines import made_on
    from generation.engines.diffusion.loading import DTYPES

    spec = (TINY if tiny else SPECS)["ltx-2b"]
    with made_on(torch.device("cuda" if torch.cuda.is_available() else "cpu")):
        pipe = spec.make(spec.sizes, DTYPES[spec.precision])
    pipe.save_pretrained(folder)


def size_of(folder: Path) -> float:
    """GiB of all files in it."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**30


def forget_cached(folder: Path) -> None:
    """Have the system read the files from the disk the next time."""
    for file in folder.rglob("*"):
        if file.is_file() and hasattr(os, "posix_fadvise"):
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


# --- The worker -----------------------------------------------------------------------------------------------


def start(platform: Stack, rows: Rows, which: str) -> dict[str, Any]:
    """Start the worker. Seconds of each stage until the platform knows that it stands ready."""
    from generation.models import Worker

    CLOCK.unlink(missing_ok=True)
    began = time.monotonic()
    platform.start(WORKER, "worker", "--model", MODEL)
    pid = platform.processes[WORKER].pid
    until(platform, lambda: has_engine(pid), START_TIMEOUT, "an engine process")
    engine_began = time.monotonic()
    ready = Worker.objects.filter(pid=pid, model=MODEL, state=Worker.State.IDLE)
    until(platform, ready.exists, START_TIMEOUT, "a worker that stands ready")
    ended = time.monotonic()
    noted = {note["what"]: note for note in notes()}
    weights, warm_up = (seconds_of(noted[what]) for what in ("load", "warm_up"))
    return rows.add(
        what="start", which=which, worker=engine_began - began, packages=noted["made"]["at"] - engine_began,
        weights=weights, warm_up=warm_up, ready=ended - began,
    )  # fmt: skip


def has_engine(pid: int) -> bool:
    """Whether the worker has started its engine's process."""
    return any("spawn_main" in " ".join(child.cmdline()) for child in psutil.Process(pid).children())


def stop(platform: Stack) -> None:
    from mutoscope import supervise

    supervise.stop([platform.processes.pop(WORKER)], patience=STOP_TIMEOUT)


def until(platform: Stack, condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait. Raises TimeoutError, or `StackError` when a process has ended by itself."""
    deadline = time.monotonic() + seconds
    while not condition():
        platform.check()
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} was waited for, but did not come within {seconds:.0f} s")
        time.sleep(0.02)


def notes() -> list[dict[str, Any]]:
    """What the engine has noted since the worker was started."""
    return [json.loads(line) for line in CLOCK.read_text().splitlines()]


def seconds_of(note: Mapping[str, Any]) -> float:
    return float(note["ended"] - note["began"])


# --- Jobs -----------------------------------------------------------------------------------------------------


def httpx_client(platform: Stack) -> httpx.Client:
    client = a_client(platform.url)
    client.timeout = httpx.Timeout(30)
    return client


def upload(client: httpx.Client) -> str:
    with PICTURE.open("rb") as file:
        answer = client.post("/assets", files={"file": (PICTURE.name, file)}).raise_for_status()
    return str(answer.json()["id"])


def submit(client: httpx.Client, picture: str, *, steps: int, number: int) -> str:
    """A job with words that the engine has not read before. Returns its id."""
    prompt = f"Steam rises from a cup of coffee on a wooden table, take {number} of {time.time():.0f}."
    request = {"model": MODEL, "picture": picture, "prompt": prompt, "steps": steps, "seed": number}
    return str(client.post("/jobs", json=request).raise_for_status().json()["id"])


def has_succeeded(job_id: str) -> bool:
    from generation.models import Job

    job = Job.objects.get(pk=job_id)
    if job.state in Job.TERMINAL and job.state != Job.State.SUCCEEDED:
        raise RuntimeError(f"job {job_id} ended as {job.state}: {job.error_code}: {job.error_message}")
    return bool(job.state == Job.State.SUCCEEDED)


def one_job(platform: Stack, client: httpx.Client, rows: Rows, picture: str, *, steps: int) -> dict[str, Any]:
    """From `POST` to clip with nothing else to do, in its parts."""
    from generation.models import Job

    sent = time.monotonic()
    job_id = submit(client, picture, steps=steps, number=0)
    accepted = time.monotonic()
    until(platform, lambda: has_succeeded(job_id), CLIP_TIMEOUT, "a clip")
    published = time.monotonic()
    clip = notes()[-1]
    job = Job.objects.get(pk=job_id)
    recipe = {name: job.recipe.get(name) for name in ("memory_plan", "precision", "attention", "compiled", "gpu")}
    made = {"width": job.engine_width, "height": job.engine_height, "frames": job.engine_frames}
    return rows.add(
        what="job", **made, **recipe, clip_bytes=job.output.file.size if job.output else 0, post=accepted - sent,
        begin=clip["began"] - sent, **parts_of(clip), publish=published - clip["ended"],
        whole=published - sent,
    )  # fmt: skip


def parts_of(clip: Mapping[str, Any]) -> dict[str, Any]:
    """A request's parts, in seconds. The loop begins one step before the end of its first step."""
    step = (clip["last_step"] - clip["first_step"]) / max(1, clip["steps"] - 1)
    loop_began = max(clip["began"], clip["first_step"] - step)
    return {
        "steps": clip["steps"],
        "words": loop_began - clip["began"],
        "denoise": clip["last_step"] - loop_began,
        "decode": clip["first_frame"] - clip["last_step"],
        "hand_over": clip["ended"] - clip["first_frame"],
        "engine": seconds_of(clip),
        "peak_gib": clip["peak_gib"],
        "memory_in_one_piece": clip["memory_in_one_piece"],
    }


def in_a_row(
    platform: Stack, client: httpx.Client, rows: Rows, picture: str, *, count: int, steps: int
) -> dict[str, Any]:
    """Many jobs wait: what the engine and its GPU do between them."""
    known = len(notes())
    with GpuUse() as use:
        ids = [submit(client, picture, steps=steps, number=number) for number in range(count)]
        for job_id in ids:
            until(platform, lambda job_id=job_id: has_succeeded(job_id), CLIP_TIMEOUT, "a clip")  # type: ignore[misc]
    clips = notes()[known:]
    parts = [parts_of(clip) for clip in clips]
    gaps = [after["began"] - before["ended"] for before, after in pairwise(clips)]
    # The GPU's last work for a clip is to turn it into bytes; its first for the next are the words.
    bare = [gap + before["hand_over"] for gap, before in zip(gaps, parts, strict=False)]
    return rows.add(
        what="row", steps=steps, jobs=count, engine=[part["engine"] for part in parts], gaps=gaps,
        hand_over=[part["hand_over"] for part in parts], bare=bare, seconds=clips[-1]["ended"] - clips[0]["began"],
        gpu_use=use.mean(clips[0]["began"], clips[-1]["ended"]), peak_gib=clips[-1]["peak_gib"],
    )  # fmt: skip


# --- The tables -----------------------------------------------------------------------------------------------


def machine() -> dict[str, Any]:
    from bench.__main__ import machine as processor
    from generation.worker import gpu

    card = gpu.only_one()
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return {"gpu": card.name if card else "none", "processor": processor(), "versions": versions}


def print_tables(starts: list[dict[str, Any]], alone: dict[str, Any], lines: list[dict[str, Any]]) -> None:
    print("\n## From the start of the process until it stands ready, s\n")
    print("| start | worker | packages | weights | warm-up | **ready** |\n|---|---|---|---|---|---|")
    for row in starts:
        print(f"| {row['which']} | {' | '.join(f'{row[stage]:.1f}' for stage in STAGES)} |")
    print(f"\n## One job, s ({alone['width']} × {alone['height']} × {alone['frames']}, {alone['steps']} steps)\n")
    print(
        "| `POST` answered | engine begins | words, picture | denoise | decode | hand-over | publish | **whole** |"
    )
    print("|---|---|---|---|---|---|---|---|")
    print(f"| {' | '.join(f'{alone[part]:.2f}' for part in PARTS)} |")
    print("\n## Between two jobs in a row\n")
    print(
        "| steps | jobs | engine, a job | engine waits, p50 | most | share | GPU without work, p50 | GPU in use |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for row in lines:
        waits, use = row["gaps"], row["gpu_use"]
        print(
            f"| {row['steps']} | {row['jobs']} | {statistics.median(row['engine']):.2f} s "
            f"| {statistics.median(waits) * 1e3:.0f} ms | {max(waits) * 1e3:.0f} ms "
            f"| {100 * sum(waits) / row['seconds']:.1f} % | {statistics.median(row['bare']) * 1e3:.0f} ms "
            f"| {'–' if use is None else f'{use:.1f} %'} |"
        )


if __name__ == "__main__":
    main()
