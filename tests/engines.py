"""A real engine for tests of everything around engines: it does what the prompt says.

`steps=N` steps, `pause=S` seconds each, `crash`, `hang`, `fail=BLAME`, `short` (a frame too few).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from generation.engines.base import EngineError, EngineRequest, FrameSink, OnStep


class StillEngine:
    def load(self) -> None: ...

    def warm_up(self) -> None: ...

    def unload(self) -> None: ...

    def generate(self, request: EngineRequest, frames: FrameSink, on_step: OnStep) -> Mapping[str, Any]:
        wishes = dict(re.findall(r"(\w+)=([\w.]+)", request.prompt))
        words = set(request.prompt.split())
        steps = request.steps or 1
        for step in range(steps):
            time.sleep(float(wishes.get("pause", 0)))
            if "crash" in words and step == steps // 2:
                os._exit(7)
            if "hang" in words and step == steps // 2:
                time.sleep(3600)
            if "fail" in wishes and step == steps // 2:
                raise EngineError("asked_to_fail", "the prompt asked for it", wishes["fail"])
            on_step(step + 1, steps)
        color = np.array([request.seed % 256, request.seed // 256 % 256, 128], np.uint8)
        frame = np.broadcast_to(color, (request.height, request.width, 3))
        for _ in range(request.frames - ("short" in words)):
            frames.write(frame)
        return {"engine": "still", "seed": request.seed}
