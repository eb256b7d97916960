"""A real engine for tests of everything around engines: it does what the prompt says.

`pause=S` seconds a step. Half of the way: `crash` (the process ends), `hang` (for an hour), `fail=BLAME`. `oom`
runs out of memory unless the memory plan is a lighter one, `oom=always` under each. `leak=MIB` keeps so much
memory for good. `short` makes a frame too few. `black` makes black frames, `black=SEED` from that seed alone.
`sound` makes a tone. A last picture, in flf2v, colours the last frame.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from generation.engines import checkpoints as checkpoint_files
from generation.engines.base import Checkpoints, EngineError, EngineRequest, EngineSetup, FrameSink, OnStep

if TYPE_CHECKING:
    from generation.engines.base import Sound

VERSION = "2"
SAMPLES_A_SECOND = 16_000
LIGHTER_PLANS = {"light"}


class StillEngine:
    """Every step hashes the state that the step before has left; the last state colours the frames.

    So a step that was left out, done twice or done from another state shows in the clip.
    """

    def __init__(self) -> None:
        self._leaked: list[bytearray] = []

    def load(self, setup: EngineSetup) -> None: ...

    def warm_up(self) -> None: ...

    def unload(self) -> None: ...

    def generate(
        self, request: EngineRequest, frames: FrameSink, on_step: OnStep, checkpoints: Checkpoints
    ) -> Mapping[str, Any]:
        wishes = dict(re.findall(r"(\w+)=([\w.]+)", request.prompt))
        words = set(request.prompt.split())
        facts = checkpoint_files.facts_of(request, "still", VERSION, memory_plan=request.memory_plan)
        state = _first_state(request)
        steps, first = request.steps or 1, 0
        if request.checkpoint:
            state, first = checkpoint_files.read(request.checkpoint, facts), request.checkpoint.step
        self._leaked.append(bytearray(b"\xff") * (int(wishes.get("leak", 0)) * 2**20))
        for step in range(first, steps):
            time.sleep(float(wishes.get("pause", 0)))
            if step == steps // 2:
                _fault(words, wishes, request.memory_plan)
            state = hashlib.sha256(state + step.to_bytes(4, "big")).digest()
            on_step(step + 1, steps)
            if step + 1 < steps and checkpoints.due():
                checkpoints.save(step + 1, lambda file, state=state: checkpoint_files.write(file, facts, state))
        ending = _pixels(request.last_image) if request.mode == "flf2v" else b""
        if "sound" in words:
            frames.sound(_tone(state, request.frames / request.fps), SAMPLES_A_SECOND)
        black = "black" in words or wishes.get("black") == str(request.seed)
        for index in range(request.frames - ("short" in words)):
            last = ending if index == request.frames - 1 else b""
            digest = hashlib.sha256(last or state + index.to_bytes(4, "big")).digest()
            color = np.zeros(3, np.uint8) if black else np.frombuffer(digest[:3], np.uint8)
            frames.write(np.full((request.height, request.width, 3), color, np.uint8))
        return {"engine": "still", "version": VERSION, "seed": request.seed, "state": state.hex()}


def _first_state(request: EngineRequest) -> bytes:
    picture = b""
    if request.mode in ("i2v", "flf2v"):
        picture = _pixels(request.image)
    elif request.mode != "t2v":
        raise EngineError("mode_unsupported", f"mode must be i2v, t2v or flf2v, but is {request.mode}", "user")
    if request.mode == "flf2v":
        _pixels(request.last_image)  # refused before the first step
    return hashlib.sha256(picture + request.seed.to_bytes(8, "big")).digest()


def _pixels(path: Path | None) -> bytes:
    try:
        with Image.open(path or "") as image:
            return image.tobytes()
    except OSError as error:
        raise EngineError("image_unreadable", f"the image cannot be read: {error}", "user") from error


def _tone(state: bytes, seconds: float) -> Sound:
    """In stereo, of a height that the state decides."""
    time = np.arange(round(seconds * SAMPLES_A_SECOND)) / SAMPLES_A_SECOND
    wave = np.sin(2 * np.pi * (220 + state[0]) * time) * 2**13
    return np.repeat(wave.astype(np.int16)[:, None], 2, axis=1)


def _fault(words: set[str], wishes: Mapping[str, str], memory_plan: str) -> None:
    if "crash" in words:
        os._exit(7)
    if "hang" in words:
        time.sleep(3600)
    if "fail" in wishes:
        raise EngineError("asked_to_fail", "the prompt asked for it", wishes["fail"])
    if ("oom" in words and memory_plan not in LIGHTER_PLANS) or wishes.get("oom") == "always":
        raise EngineError("out_of_memory", "the prompt asked for more memory than there is", "machine")
