"""What is measured beside each other: diffusers' own pipelines, and our engines around the same weights."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch

from bench.device import free_memory, has_gpu
from bench.random_models.engines import Spec, random_engine
from bench.ring import drained_ring
from bench.stopwatch import Arithmetic, Stopwatch
from generation.engines.base import EngineRequest
from generation.engines.diffusion.denoising import denoisers_of
from generation.engines.diffusion.engine import Pictures
from generation.engines.pictures import framed_picture

PICTURE_ENCODER = "_encode_image"
"""Of Stable Video Diffusion, which takes no words."""


class Subject(Protocol):
    """A loaded model that makes clips."""

    def load(self, request: EngineRequest) -> None:
        """Bring the model up for requests like this one, and make it warm."""

    def clip(self, request: EngineRequest) -> Stopwatch:
        """Make a clip, watched."""

    def facts(self) -> dict[str, Any]:
        """How the clip is made."""

    def close(self) -> None:
        """Let go of the model."""


class Stock:
    """diffusers' pipeline as its documentation calls it: every default, and what our engine would ask it for.

    Where all parts together are too large for the GPU, they come and go by diffusers' `enable_model_cpu_offload`.
    """

    def __init__(self, spec: Spec, *, offloads: bool) -> None:
        self.spec, self.offloads = spec, offloads and has_gpu()
        self.arithmetic = Arithmetic()

    def load(self, request: EngineRequest) -> None:
        engine = self.engine = random_engine(self.spec)
        engine.device = torch.device("cuda" if has_gpu() else "cpu")
        engine.setup = self.spec.setup("offload" if self.offloads else "full")
        engine.memory_plan = "full"
        self.pipe = engine.pipe = engine.load_pipeline(engine.setup)
        if self.offloads:
            self.pipe.enable_model_cpu_offload()
        else:
            self.pipe.to(engine.device)
        with self.arithmetic.counts(self.pipe):
            self._call(replace(request, steps=1))

    def clip(self, request: EngineRequest) -> Stopwatch:
        watch = Stopwatch()
        encode = "encode_prompt" if hasattr(self.pipe, "encode_prompt") else PICTURE_ENCODER
        with watch.watches(self.pipe, self.pipe, encode):
            self._call(request, watch.step)
        watch.made()
        watch.end()
        return watch

    def facts(self) -> dict[str, Any]:
        how = "model offload" if self.offloads else "all on the GPU"
        return {"plan": how, "attention": "native", "compiled": False, "quantised": ""}

    def close(self) -> None:
        self.engine = self.pipe = None
        free_memory()

    def _call(self, request: EngineRequest, on_step: Callable[..., None] | None = None) -> None:
        assert request.image is not None
        picture = framed_picture(request.image, request.width, request.height)
        given = self.engine.arguments(request, Pictures(first=picture))
        if "prompt" in inspect.signature(self.pipe.__call__).parameters:
            given |= {"prompt": request.prompt, "negative_prompt": request.negative_prompt}
        tokens = denoisers_of(self.pipe)[0].config.get("max_text_seq_length")
        if tokens:  # CogVideoX was trained with just so many; what the pipeline takes for granted is the 5B's
            given["max_sequence_length"] = tokens

        def stepped(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            if on_step:
                on_step()
            return tensors

        generator = torch.Generator("cpu").manual_seed(request.seed)
        self.pipe(**given, generator=generator, callback_on_step_end=stepped)


class Ours:
    """The platform's engine as a worker loads it, its frames going through the worker's ring."""

    def __init__(self, spec: Spec, cache: Path, plan: str = "") -> None:
        self.spec, self.cache, self.plan = spec, cache, plan
        self.engine: Any = None

    def load(self, request: EngineRequest) -> None:
        self.engine = random_engine(self.spec)
        warm_up = replace(request, steps=2, image=None)
        self.engine.load(self.spec.setup(self.plan, cache=self.cache, warm_up=warm_up))
        self.engine.warm_up()

    def clip(self, request: EngineRequest) -> Stopwatch:
        engine = self.engine
        with drained_ring(request.width, request.height, request.frames) as ring:
            watch = Stopwatch()
            hand_over_sound = engine.hand_over_sound

            def made(output: Any, sink: Any) -> None:
                watch.made()
                hand_over_sound(output, sink)

            # The first thing that an engine does when its pipeline has returned.
            engine.hand_over_sound = made
            by_words = hasattr(engine.pipe, "encode_prompt")
            encodes = (engine, "_encode") if by_words else (engine.pipe, PICTURE_ENCODER)
            try:
                with watch.watches(engine.pipe, *encodes):
                    engine.generate(request, ring, watch.step, NoCheckpoints())
            finally:
                engine.hand_over_sound = hand_over_sound
            watch.end()
        return watch

    def facts(self) -> dict[str, Any]:
        engine = self.engine
        return {
            "plan": engine.memory_plan,
            "attention": engine.attention_used,
            "compiled": engine.compiled,
            "quantised": engine.quantised,
        }

    def close(self) -> None:
        if self.engine is not None:
            self.engine.unload()
        self.engine = None
        free_memory()


class NoCheckpoints:
    """Nobody wants any."""

    def due(self) -> bool:
        return False

    def save(self, step: int, write: Callable[[Path], None]) -> None: ...
