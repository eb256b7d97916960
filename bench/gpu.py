"""What a clip takes on a GPU: `python -m bench.gpu`, for a GPU of 80 GB.

Full-size models with random weights. Three ways beside each other, in one run: `stock` is diffusers' own pipeline,
called directly; `default` our engine as a worker loads it; `fastest` our engine with its linear layers in fp8 as
well. Step caches stay off: what one spares with random weights is chance.

Seconds of a clip are told apart: words (a prompt that was not encoded before), preparation (the given picture, the
noise), the denoising loop, the decoder, and the hand-over of the frames through the worker's ring. Long loops are
measured for some steps of the whole schedule and reckoned for all.

    --models ltx-2b,…   of bench/random_models/engines.py; default: all
    --seconds 540       when to stop, whatever is under way: every row is written, and the table printed last
    --out FILE          rows as JSON lines (default: gpu.jsonl)
    --variants stock,…  default: all three; a memory plan is one, too: our engine as it is under that
    --steps N           no more steps than these are measured of any clip
    --tiny              tiny models, on any machine: whether the benchmark itself works
"""

from __future__ import annotations

import argparse
import json
import signal
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

import diffusers

from bench.device import (
    DATASHEET_FLOPS,
    bf16_peak,
    free_memory,
    is_in_one_piece,
    machine,
    now,
    peak,
    peak_reserved,
    reset_peak,
)
from bench.random_models.engines import SPECS, TINY, Spec
from bench.stopwatch import Stopwatch
from bench.subjects import Ours, Stock, Subject
from bench.table import print_table
from generation.engines.base import EngineRequest
from generation.engines.diffusion.memory import PLANS, keep_in_one_piece

MEASURED_STEPS = {
    "ltx-13b": 6,
    "cogvideox-5b": 5,
    "hunyuan-i2v": 2,
    "hunyuan-i2v-720p": 2,
    "wan-a14b": 0,
    "wan-a14b-720p": 0,
}
"""Of a published clip; of other models all are. None: it is reckoned from the draft, by its forwards. Both of
Wan's experts have their share of any two steps or more."""
FORWARDS = {"wan-a14b": 2, "wan-a14b-720p": 2}
"""A step, with guidance; other pipelines put both of its branches into one forward, or have one alone."""
TOO_LARGE_FOR_STOCK = frozenset({"wan-a14b-720p"})
"""Models whose parts do not fit a GPU of 80 GB together."""
VARIANTS = ("stock", "default", "fastest")
FASTEST_PLAN = "fp8"


class TimeIsUp(BaseException):
    """The run must end. No `Exception`: nothing that is under way may take it for a failure of its own."""


@dataclass(frozen=True, slots=True)
class Clip:
    """What is asked for: a preset of the catalog, with as many steps as are to be measured.

    Of a clip with none the one before says what it takes.
    """

    name: str
    steps: int
    measured: int
    forwards: int
    """Of the denoiser in a step."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """To the request."""


def clips_of(spec: Spec, most_steps: int) -> list[Clip]:
    """The published clip; and where adapters make a draft of a few steps, that one first."""
    measured = min(most_steps, MEASURED_STEPS.get(spec.name, spec.steps))
    published = Clip("standard", spec.steps, measured, FORWARDS.get(spec.name, 1))
    draft = next(preset for preset in spec.catalog["presets"] if preset["name"] == "draft")
    if not draft.get("adapters"):
        return [published]
    changes = {"guidance": draft["guidance"], "options": draft["options"]}
    return [Clip("draft", draft["steps"], min(most_steps, draft["steps"]), 1, changes), published]


class Bench:
    """One model's variants, one after the other."""

    def __init__(self, spec: Spec, clips: Sequence[Clip], scratch: Path, peak_flops: float) -> None:
        self.spec, self.clips, self.scratch, self.peak_flops = spec, clips, scratch, peak_flops
        self.still = spec.still(scratch / f"{spec.name}.png")
        self.flops: tuple[float, float] | None = None
        """Of one forward of the denoiser, and of its attention alone."""
        self.stock_seconds: dict[str, float] = {}

    def rows(self, variant: str) -> Iterator[dict[str, Any]]:
        """A row for each clip, as it is made; what one variant cannot do is its last row."""
        row: dict[str, Any] = {"model": self.spec.name, "variant": variant}
        subject = self._subject(variant)
        if subject is None:
            yield row | {"skipped": f"the model has no memory plan {self._plan(variant)!r}"}
            return
        try:
            began = now()
            warm_up = self._request(self.clips[0])
            subject.load(replace(warm_up, prompt="other words"))
            row |= {"load_and_warm_up_seconds": now() - began, **subject.facts()}
            if isinstance(subject, Stock):
                self.flops = subject.arithmetic.of_a_forward()
            for clip in self.clips:
                if clip.measured:
                    measured = self._measured(subject, clip)
                yield row | self._row(clip, variant, *measured)
        except Exception as error:  # noqa: BLE001  what one variant cannot do must not end the others: it is told
            traceback.print_exc()
            yield row | {"failed": f"{type(error).__name__}: {error}"[:300]}
        finally:
            subject.close()
            free_memory()

    def _subject(self, variant: str) -> Subject | None:
        if variant == "stock":
            return Stock(self.spec, offloads=self.spec.name in TOO_LARGE_FOR_STOCK)
        plan, cache = self._plan(variant), self.scratch / "compiled" / self.spec.name
        return Ours(self.spec, cache, plan) if plan in self.spec.catalog["memory_plans"] else None

    def _plan(self, variant: str) -> str:
        """The memory plan of a variant that is no stock."""
        return {"default": self.spec.plan, "fastest": FASTEST_PLAN}.get(variant, variant)

    def _request(self, clip: Clip) -> EngineRequest:
        """Words of their own for each, so that none are found encoded already."""
        request = replace(self.spec.request(self.still), steps=clip.measured, **clip.changes)
        return replace(request, prompt=f"{request.prompt} {clip.name}")

    def _measured(self, subject: Subject, clip: Clip) -> tuple[Stopwatch, dict[str, Any]]:
        request = self._request(clip)
        reset_peak()
        watch = subject.clip(request)
        return watch, {"measured": clip.name, "peak_gib": peak(), "reserved_gib": peak_reserved()}

    def _row(self, clip: Clip, variant: str, watch: Stopwatch, memory: Mapping[str, Any]) -> dict[str, Any]:
        spec, request = self.spec, self._request(clip)
        row: dict[str, Any] = {
            "clip": clip.name, "width": spec.width, "height": spec.height, "frames": spec.frames,
            "precision": spec.precision, "guidance": request.guidance, "steps": clip.steps,
            "steps_measured": watch.steps, "forwards_a_step": clip.forwards, **memory,
            "measured_step_seconds": watch.step_seconds, **watch.seconds(clip.steps, clip.forwards),
        }  # fmt: skip
        if variant == "stock":
            self.stock_seconds[clip.name] = row["clip_seconds"]
        if clip.name in self.stock_seconds:
            row["faster"] = self.stock_seconds[clip.name] / row["clip_seconds"]
        return row | self._arithmetic(clip.forwards, row["step_seconds"])

    def _arithmetic(self, forwards: int, step_seconds: float) -> dict[str, Any]:
        """What the denoiser reckons in a step, and what share that is of what the GPU can do in bf16."""
        if self.flops is None:
            return {}
        whole, of_attention = self.flops
        rate = whole * forwards / step_seconds
        return {
            "flops_per_step": whole * forwards,
            "attention_share": of_attention / whole,
            "share_of_peak": rate / self.peak_flops,
            "share_of_datasheet": rate / DATASHEET_FLOPS,
        }


def measure_all(
    specs: Sequence[Spec], scratch: Path, peak_flops: float, asked: argparse.Namespace, out: TextIO
) -> list[dict[str, Any]]:
    """Every variant of every model, as long as there is time; the rows are written as they come."""
    rows: list[dict[str, Any]] = []

    def keep(row: dict[str, Any]) -> None:
        rows.append(row)
        out.write(json.dumps(row) + "\n")
        out.flush()
        print(f"{row['model']} {row['variant']} {row.get('clip', '')} {row.get('clip_seconds', row)}", flush=True)

    until = time.perf_counter() + asked.seconds
    with alarm(asked.seconds):
        for spec in specs:
            bench = Bench(spec, clips_of(spec, asked.steps), scratch, peak_flops)
            for variant in asked.variants.split(","):
                try:
                    if time.perf_counter() > until:
                        keep({"model": spec.name, "variant": variant, "skipped": "no time left"})
                        continue
                    for row in bench.rows(variant):
                        keep(row)
                except TimeIsUp:
                    keep({"model": spec.name, "variant": variant, "failed": "the time was up"})
    return rows


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """While this is open: `TimeIsUp` after so many seconds."""

    def ring(*_: Any) -> None:
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def main() -> None:
    parser = argparse.ArgumentParser(description="What a clip takes on a GPU.")
    parser.add_argument("--models", default="")
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--seconds", type=float, default=540.0)
    parser.add_argument("--out", type=Path, default=Path("gpu.jsonl"))
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--tiny", action="store_true")
    asked = parser.parse_args()
    keep_in_one_piece()
    there = TINY if asked.tiny else SPECS
    names = asked.models.split(",") if asked.models else list(there)
    unknown = sorted(set(names) - set(there))
    if unknown:
        parser.error(f"--models must be of {', '.join(there)}, but has {', '.join(unknown)}")
    ways = (*VARIANTS, *PLANS)
    unknown = sorted(set(asked.variants.split(",")) - set(ways))
    if unknown:
        parser.error(f"--variants must be of {', '.join(ways)}, but has {', '.join(unknown)}")
    diffusers.utils.logging.set_verbosity_error()
    about = machine() | {"bf16_peak_flops": bf16_peak(), "datasheet_flops": DATASHEET_FLOPS}
    about |= {"memory_in_one_piece": is_in_one_piece()}
    with tempfile.TemporaryDirectory() as scratch, asked.out.open("w") as out:
        out.write(json.dumps({"machine": about}) + "\n")
        specs = [there[name] for name in names]
        rows = measure_all(specs, Path(scratch), about["bf16_peak_flops"], asked, out)
    print_table(about, rows)


if __name__ == "__main__":
    main()
