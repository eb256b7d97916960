"""Engines that do nothing of their own: what is left is the platform."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from generation.engines.base import Checkpoints, EngineRequest, EngineSetup, FrameSink, OnStep


class NullEngine:
    def load(self, setup: EngineSetup) -> None: ...

    def warm_up(self) -> None: ...

    def unload(self) -> None: ...

    def generate(
        self, request: EngineRequest, frames: FrameSink, on_step: OnStep, checkpoints: Checkpoints
    ) -> Mapping[str, Any]:
        frame = np.zeros((request.height, request.width, 3), np.uint8)
        for done in range(request.frames):
            frames.write(frame)
            on_step(done + 1, request.frames)
        return {"engine": "null"}


class PacedEngine:
    """As busy as a GPU engine looks from outside: two seconds of steps, then 49 textured frames of 1280 × 720.

    Writes when each request began and ended (`time.monotonic()`) into the file that `PACED_LOG` names.
    """

    FRAMES, STEPS, STEP = 49, 20, 0.1

    def load(self, setup: EngineSetup) -> None:
        random = np.random.Generator(np.random.PCG64(1))
        coarse = random.integers(0, 255, (90, 160, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        grain = random.integers(0, 24, coarse.shape, np.uint8)
        still = coarse // 2 + grain
        self._frames = [np.roll(still, 3 * index, axis=1) for index in range(self.FRAMES)]

    def warm_up(self) -> None: ...

    def unload(self) -> None: ...

    def generate(
        self, request: EngineRequest, frames: FrameSink, on_step: OnStep, checkpoints: Checkpoints
    ) -> Mapping[str, Any]:
        began = time.monotonic()
        for step in range(1, self.STEPS + 1):
            time.sleep(self.STEP)
            on_step(step, self.STEPS)
            if step < self.STEPS:
                checkpoints.due()
        for frame in self._frames[: request.frames]:
            frames.write(frame)
        with Path(os.environ["PACED_LOG"]).open("a") as log:
            log.write(json.dumps([began, time.monotonic()]) + "\n")
        return {"engine": "paced"}
