"""What each speed switch is worth, and what it changes: `python -m bench.engines`, on a GPU of 80 GB.

Full-size models with random weights go through our own engines: the real encoding, loop, checkpoints, attention,
compiled blocks, fp8, step caches and memory plans. Prints a table a model, and keeps every row in a file of JSON
lines. `bench.gpu` says what a clip takes.

With random weights, distances from the faithful result bound nothing about real pictures: they show that a switch
acts, and that those which should change nothing change no more than bf16's rounding does. Step caches find other
differences between steps than real models have.

    --models ltx-2b,…   of bench/random_models/engines.py; default: all but Wan at 720p
    --steps 10          steps that are measured; a clip's time is reckoned with the published number
    --seconds 540       no variant is begun that would probably end later
    --out FILE          rows as JSON lines (default: engines.jsonl)
    --tiny              tiny models, on any machine: whether the benchmark itself works
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch

from bench.device import machine, peak, reset_peak, wait_for_gpu
from bench.random_models.engines import SPECS, TINY, Spec, random_engine
from generation.engines.base import Checkpoint, EngineError, EngineRequest
from generation.engines.diffusion.memory import keep_in_one_piece
from generation.engines.diffusion.step_cache import COMPUTED_FIRST

RESTART = "restart"
"""A new process with the code that `+compile` has left on the disk."""
REPEATED = ("+compile", "cache balanced", "+fp8")
"""Variants that are run again, and resumed from a checkpoint."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A way to load the engine, or, with `like`, a way to ask the one that is loaded."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    plan: str = ""
    """Empty: the one that a worker takes."""
    step_cache: str = ""
    like: str = ""
    steps: int | None = None


STOCK = Variant("stock", {"attention": "native", "compile": False})
VARIANTS = (
    STOCK,
    Variant("+attention", {"compile": False}),
    Variant("+compile"),
    Variant("cache balanced", step_cache="balanced", like="+compile"),
    Variant("cache light", step_cache="light", like="+compile"),
    Variant("cache strong", step_cache="strong", like="+compile"),
    Variant(RESTART),
    Variant("+fp8", plan="fp8"),
    Variant("plan offload", plan="offload", steps=3),
    Variant("plan tiled", plan="tiled", steps=3),
)


@dataclass
class Run:
    """One request, watched: a sink, a listener and a place for checkpoints in one."""

    checkpoint_at: int | None = None
    folder: Path = Path()
    frames: list[Any] = field(default_factory=list)
    ticks: list[float] = field(default_factory=list)
    ended: float = 0.0
    saved: Checkpoint | None = None
    saving_seconds: float = 0.0

    def write(self, frame: Any) -> None:
        self.frames.append(frame.copy())

    def sound(self, samples: Any, rate: int) -> None: ...

    def on_step(self, done: int, total: int) -> None:
        wait_for_gpu()
        self.ticks.append(time.perf_counter())

    def due(self) -> bool:
        return len(self.ticks) == self.checkpoint_at

    def save(self, step: int, write: Callable[[Path], None]) -> None:
        began = time.perf_counter()
        self.saved = Checkpoint(step, self.folder / f"checkpoint-{step}")
        write(self.saved.file)
        self.saving_seconds = time.perf_counter() - began

    @property
    def digest(self) -> str:
        return hashlib.sha256(b"".join(frame.tobytes() for frame in self.frames)).hexdigest()

    def seconds(self, steps: int) -> dict[str, float]:
        """Of a step, of what comes after the last one, and of a clip of so many steps.

        A step cache never spares the first steps, so the mean is of those behind them.
        """
        taken = [after - before for before, after in pairwise(self.ticks)]
        first, later = taken[: COMPUTED_FIRST - 1], taken[COMPUTED_FIRST - 1 :]
        step = statistics.fmean(later or first)
        decode = self.ended - self.ticks[-1]
        clip = COMPUTED_FIRST * statistics.fmean(first) + (steps - COMPUTED_FIRST) * step + decode
        return {"step_seconds": step, "decode_seconds": decode, "clip_seconds": clip}


class Bench:
    """One model's variants, one after the other."""

    def __init__(self, spec: Spec, steps: int, scratch: Path, *, tiny: bool) -> None:
        self.spec, self.steps, self.scratch, self.tiny = spec, steps, scratch, tiny
        self.still = spec.still(scratch / f"{spec.name}.png")
        self.cache = scratch / "compiled" / spec.name
        self.engine: Any = None
        self.latents: torch.Tensor | None = None
        """What was decoded last."""
        self.loaded: dict[str, Any] = {}
        self.stock: tuple[float, torch.Tensor, Any] | None = None
        """Of the faithful run: seconds a clip, latents and frames."""

    def measure(self, variant: Variant) -> dict[str, Any]:
        """Load, if need be; warm up; run; compare."""
        row: dict[str, Any] = {"model": self.spec.name, "variant": variant.name}
        try:
            if variant.name == RESTART:
                return row | self.restart()
            if not variant.like:
                self.load(variant)
            elif self.loaded.get("variant") != variant.like:
                return row | {"skipped": f"{variant.like} did not run"}
            return self.loaded | row | self.run(variant)
        # What one variant cannot do must not end the others: it is in the row.
        except (EngineError, RuntimeError, ValueError) as error:
            return row | {"failed": f"{type(error).__name__}: {error}"[:300]}

    def load(self, variant: Variant) -> None:
        self.close()
        reset_peak()
        began = time.perf_counter()
        self.engine = random_engine(self.spec)
        options = {**self.spec.catalog.get("options", {}), **variant.options}
        warm_up = replace(self.request(variant), steps=2, image=None, step_cache="")
        self.engine.load(self.spec.setup(variant.plan, options=options, cache=self.cache, warm_up=warm_up))
        self.keep_latents()
        wait_for_gpu()
        loaded, load_peak = time.perf_counter(), peak()
        self.engine.warm_up()
        wait_for_gpu()
        self.loaded = {
            "variant": variant.name,
            "load_seconds": loaded - began,
            "load_peak_gib": load_peak,
            "warm_up_seconds": time.perf_counter() - loaded,
            "attention": self.engine.attention_used,
            "compiled": self.engine.compiled,
            "quantised": self.engine.quantised,
        }

    def run(self, variant: Variant) -> dict[str, Any]:
        request = self.request(variant)
        reset_peak()
        run = self.once(request)
        row: dict[str, Any] = {**run.seconds(self.spec.steps), "peak_gib": peak()}
        row |= self.compared(variant, run, row["clip_seconds"])
        if variant.name in REPEATED:
            row |= self.repeated(request)
        return row

    def request(self, variant: Variant) -> EngineRequest:
        steps = variant.steps or self.steps
        return self.spec.request(self.still, steps=steps, step_cache=variant.step_cache)

    def keep_latents(self) -> None:
        """Have the decoder leave in `latents` what it is given."""
        vae = self.engine.pipe.vae
        decode = vae.decode

        def decode_and_keep(latents: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            self.latents = latents.detach().float().cpu()
            return decode(latents, *args, **kwargs)

        vae.decode = decode_and_keep

    def once(self, request: EngineRequest, checkpoint_at: int | None = None) -> Run:
        run = Run(checkpoint_at, self.scratch)
        self.engine.generate(request, run, run.on_step, run)
        wait_for_gpu()
        run.ended = time.perf_counter()
        return run

    def compared(self, variant: Variant, run: Run, clip_seconds: float) -> dict[str, Any]:
        """Against the faithful run: how much faster, and how far off."""
        assert self.latents is not None
        latents, frames = self.latents, np.stack(run.frames).astype(np.float32)
        if variant is STOCK:
            self.stock = (clip_seconds, latents, frames)
        if self.stock is None or variant.steps is not None:  # fewer steps make another clip
            return {}
        seconds, exact_latents, exact_frames = self.stock
        error = float(np.mean((frames - exact_frames) ** 2))
        return {
            "faster": seconds / clip_seconds,
            "latents_off": float((latents - exact_latents).norm() / exact_latents.norm()),
            "psnr": 10 * math.log10(255**2 / error) if error else None,
        }

    def repeated(self, request: EngineRequest) -> dict[str, Any]:
        """The same request twice and once more from a checkpoint, with as few steps as that takes."""
        at = COMPUTED_FIRST + 2 if request.step_cache else 2
        request = replace(request, steps=at + 2)
        first = self.once(request)
        second = self.once(request, checkpoint_at=at)
        assert second.saved is not None
        resumed = self.once(replace(request, checkpoint=second.saved))
        return {
            "same_twice": first.digest == second.digest,
            "resumed_same": first.digest == resumed.digest,
            "checkpoint_mib": second.saved.file.stat().st_size / 2**20,
            "checkpoint_seconds": second.saving_seconds,
            "resumed_after": second.saved.step,
            "checkpoint_due_after": at,
        }

    def restart(self) -> dict[str, Any]:
        """How long a worker takes that finds compiled code on the disk, from its process on."""
        if not self.loaded.get("compiled"):
            return {"skipped": "nothing was compiled"}
        self.close()
        began = time.perf_counter()
        command = [
            sys.executable,
            "-m",
            "bench.engines",
            "--models",
            self.spec.name,
            "--restart",
            str(self.scratch),
        ]
        told = subprocess.run([*command, *["--tiny"] * self.tiny], check=True, capture_output=True, text=True)
        row: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
        return row | {"process_seconds": time.perf_counter() - began}

    def close(self) -> None:
        if self.engine is not None:
            self.engine.unload()
        self.engine, self.loaded = None, {}


COLUMNS = (
    ("s/step", "step_seconds", "8.3f"),
    ("decode", "decode_seconds", "7.2f"),
    ("clip s", "clip_seconds", "8.1f"),
    ("faster", "faster", "7.2f"),
    ("peak GiB", "peak_gib", "9.1f"),
    ("warm-up s", "warm_up_seconds", "10.1f"),
    ("latents off", "latents_off", "12.2e"),
    ("PSNR dB", "psnr", "8.1f"),
)


def print_row(row: Mapping[str, Any]) -> None:
    if why := row.get("failed") or row.get("skipped"):
        print(f"{row['variant']:15} {why}", flush=True)
        return
    cells = []
    for title, key, form in COLUMNS:
        width = len(title) + 1
        value = row.get(key)
        cells.append(
            f"{'same' if key == 'psnr' and 'faster' in row else '–':>{width}}"
            if value is None
            else f"{value:{form}}".rjust(width)
        )
    how = " ".join(str(row[key]) for key in ("attention", "quantised") if row.get(key))
    print(f"{row['variant']:15}{' '.join(cells)}  {how}{' compiled' if row.get('compiled') else ''}", flush=True)
    if "same_twice" in row:
        print(
            f"{'':15} same seed twice: {'equal' if row['same_twice'] else 'DIFFERENT'}; resumed: "
            f"{'equal' if row['resumed_same'] else 'DIFFERENT'}; checkpoint {row['checkpoint_mib']:.1f} MiB "
            f"in {row['checkpoint_seconds']:.2f} s, due after step {row['checkpoint_due_after']}, "
            f"resumed after {row['resumed_after']}",
            flush=True,
        )


def measure_all(specs: Sequence[Spec], asked: argparse.Namespace, scratch: Path) -> None:
    began = time.perf_counter()
    with asked.out.open("w") as out:
        out.write(json.dumps({"machine": machine(), "steps": asked.steps}) + "\n")
        for number, spec in enumerate(specs):
            left = asked.seconds - (time.perf_counter() - began)
            until = time.perf_counter() + left / (len(specs) - number)
            print(f"\n{spec.name}, {spec.width}×{spec.height}×{spec.frames}, {spec.steps} steps a clip")
            print(" " * 15 + " ".join(f"{title:>{len(title) + 1}}" for title, _, _ in COLUMNS))
            bench, longest = Bench(spec, asked.steps, scratch, tiny=asked.tiny), 0.0
            for variant in VARIANTS:
                started = time.perf_counter()
                if started + longest > until:
                    row = {"model": spec.name, "variant": variant.name, "skipped": "no time left"}
                else:
                    row = bench.measure(variant)
                    row["bench_seconds"] = time.perf_counter() - started
                    longest = max(longest, row["bench_seconds"])
                print_row(row)
                out.write(json.dumps(row) + "\n")
                out.flush()
            bench.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="What each speed switch is worth, and what it changes.")
    parser.add_argument("--models", default="")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=540.0)
    parser.add_argument("--out", type=Path, default=Path("engines.jsonl"))
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--restart", type=Path, help="of a run that is under way: its folder")
    asked = parser.parse_args()
    keep_in_one_piece()
    there = TINY if asked.tiny else SPECS
    names = asked.models.split(",") if asked.models else [name for name in there if not name.endswith("720p")]
    unknown = sorted(set(names) - set(there))
    if unknown:
        parser.error(f"--models must be of {', '.join(there)}, but has {', '.join(unknown)}")
    specs = [there[name] for name in names]
    if asked.restart:
        bench = Bench(specs[0], asked.steps, asked.restart, tiny=asked.tiny)
        bench.load(next(variant for variant in VARIANTS if variant.name == "+compile"))
        print(json.dumps(bench.loaded | {"variant": RESTART}))
        return
    diffusers.utils.logging.set_verbosity_error()
    print("; ".join(f"{name} {value}" for name, value in machine().items()))
    print("Random weights: distances (latents off, PSNR) bound nothing about real pictures.")
    with tempfile.TemporaryDirectory() as scratch:
        measure_all(specs, asked, Path(scratch))


if __name__ == "__main__":
    main()
