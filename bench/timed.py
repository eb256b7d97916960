"""LTX-Video as it is, with a clock beside it: `bench.worker` reads what the engine's process has noted."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from bench.device import is_in_one_piece, peak
from generation.engines.base import Checkpoints, EngineRequest, EngineSetup, FrameSink, OnStep
from generation.engines.ltx import LTXEngine

if TYPE_CHECKING:
    from generation.engines.base import Frame, Sound


@dataclass
class WatchedSink:
    """Passes frames on, and knows when the first one came."""

    sink: FrameSink
    first: float | None = None

    def write(self, frame: Frame) -> None:
        self.first = self.first or time.monotonic()
        self.sink.write(frame)

    def sound(self, samples: Sound, rate: int) -> None:
        self.sink.sound(samples, rate)


@dataclass
class WatchedSteps:
    """Passes steps on, and knows when the first and the last one had ended on the GPU: for these it is waited."""

    on_step: OnStep
    ended: list[float] = field(default_factory=list)

    def __call__(self, done: int, total: int) -> None:
        if done in {1, total}:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            self.ended.append(time.monotonic())
        self.on_step(done, total)


class TimedLTXEngine(LTXEngine):
    """Writes lines of JSON into the file that `ENGINE_CLOCK` names; moments are of `time.monotonic()`."""

    def __init__(self) -> None:
        self._note("made")

    def load(self, setup: EngineSetup) -> None:
        with self._span("load"):
            super().load(setup)

    def warm_up(self) -> None:
        with self._span("warm_up"):
            super().warm_up()

    def generate(
        self, request: EngineRequest, frames: FrameSink, on_step: OnStep, checkpoints: Checkpoints
    ) -> Mapping[str, Any]:
        began = time.monotonic()
        sink, steps = WatchedSink(frames), WatchedSteps(on_step)
        recipe = super().generate(request, sink, steps, checkpoints)
        self._note(
            "clip", began=began, steps=request.steps, first_step=steps.ended[0], last_step=steps.ended[-1],
            first_frame=sink.first, ended=time.monotonic(), peak_gib=peak(), memory_in_one_piece=is_in_one_piece(),
        )  # fmt: skip
        return recipe

    @contextmanager
    def _span(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._note(what, began=began, ended=time.monotonic())

    def _note(self, what: str, **more: Any) -> None:
        with Path(os.environ["ENGINE_CLOCK"]).open("a") as clock:
            clock.write(json.dumps({"what": what, "at": time.monotonic(), **more}) + "\n")
