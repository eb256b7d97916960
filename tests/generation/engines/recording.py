"""Running an engine in a test: a sink, a listener and a place for checkpoints that look at what they are given."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from generation.engines.base import Cancelled, Checkpoint, Engine, EngineRequest, EngineSetup, Preempted
from tests.generation.engines.pictures import Picture


@dataclass
class Recorder:
    """A frame sink, a progress listener and a place for checkpoints in one; each can end the work.

    A checkpoint is wanted after the step `checkpoint_at`, in the folder `keep_in`; it stops the engine when
    `preempt` is set.
    """

    request: EngineRequest
    cancel_at_step: int | None = None
    cancel_at_frame: int | None = None
    checkpoint_at: int | None = None
    keep_in: Path = Path()
    preempt: bool = False
    frames: list[Picture] = field(default_factory=list)
    steps: list[tuple[int, int]] = field(default_factory=list)
    asked_at: list[int] = field(default_factory=list)
    kept: Checkpoint | None = None
    heard: list[tuple[np.ndarray, int]] = field(default_factory=list)

    def write(self, frame: Picture) -> None:
        """Copy the frame, as sinks do, having looked whether it is what was asked for."""
        if len(self.frames) == self.cancel_at_frame:
            raise Cancelled
        assert frame.shape == (self.request.height, self.request.width, 3)
        assert frame.dtype == np.uint8
        assert frame.flags.c_contiguous
        self.frames.append(frame.copy())

    def sound(self, samples: np.ndarray, rate: int) -> None:
        """Look whether it is sound, in time for the clip, and as long."""
        assert samples.dtype == np.int16
        assert samples.ndim == 2
        assert len(samples) / rate == pytest.approx(self.request.frames / self.request.fps, abs=0.1)
        assert len(self.frames) < self.request.frames
        assert self.heard == []
        self.heard.append((samples.copy(), rate))

    def on_step(self, done: int, total: int) -> None:
        """Note the step."""
        self.steps.append((done, total))
        if len(self.steps) == self.cancel_at_step:
            raise Cancelled

    def due(self) -> bool:
        """Whether the step that was told last is the one."""
        self.asked_at.append(self.steps[-1][0])
        return self.steps[-1][0] == self.checkpoint_at

    def save(self, step: int, write: Callable[[Path], None]) -> None:
        """Have it written where another process can read it."""
        self.kept = Checkpoint(step, self.keep_in / f"checkpoint-{step}")
        write(self.kept.file)
        if self.preempt:
            raise Preempted


def generate(engine: Engine, request: EngineRequest, recorder: Recorder) -> Mapping[str, Any]:
    return engine.generate(request, recorder, recorder.on_step, recorder)


def run(engine: Engine, request: EngineRequest) -> list[Picture]:
    """The frames of a request that nobody calls off."""
    recorder = Recorder(request)
    generate(engine, request, recorder)
    assert len(recorder.frames) == request.frames
    return recorder.frames


def take_up(engine_class: type[Engine], setup: EngineSetup) -> Engine:
    engine = engine_class()
    engine.load(setup)
    return engine


def digest(recorder: Recorder) -> str:
    """Of everything that makes the clip."""
    parts = [*recorder.frames, *(samples for samples, _ in recorder.heard)]
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()
