"""An engine that does nothing: what is left is the platform."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from generation.engines.base import Checkpoints, EngineRequest, FrameSink, OnStep


class NullEngine:
    def load(self) -> None: ...

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
