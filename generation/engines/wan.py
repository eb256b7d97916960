"""Wan (Alibaba): 2.2 I2V A14B and T2V A14B with two experts, TI2V 5B with one.

Rules: width and height are multiples of 16 (A14B) or 32 (5B), frames are 4k + 1. A14B denoises with one expert
while there is much noise and with the other below the weights' own `boundary_ratio`. Which modes there are is seen
from the weights: those that take pictures beside the latents do `i2v` and `flf2v`, the 5B does `i2v` and `t2v`.

Options: `guidance_2` (the low-noise expert's guidance; otherwise as the other's), `shift` (over the setup's, for
presets) and `euler` (plain Euler steps over the same schedule, which step-distilled adapters are trained for),
`max_sequence_length` (tokens, default 512).
"""

from __future__ import annotations

from typing import Any, ClassVar

from diffusers import DiffusionPipeline, WanImageToVideoPipeline, WanPipeline

from generation.engines.base import EngineRequest, EngineSetup
from generation.engines.diffusion import DiffusionEngine
from generation.engines.diffusion.engine import Pictures
from generation.engines.diffusion.loading import load_pipeline
from generation.engines.diffusion.memory import pin_device
from generation.engines.diffusion.prompts import Encoding

PARTS = ("tokenizer", "text_encoder", "vae", "transformer", "transformer_2")
"""What the pipelines for words and for pictures have in common."""


class WanEngine(DiffusionEngine):
    """One set of parts; each request gets the pipeline of its mode around them, which costs next to nothing."""

    name: ClassVar[str] = "wan"
    version: ClassVar[str] = "1"

    def served_modes(self) -> frozenset[str]:
        if self.pipe.config.expand_timesteps:  # the 5B: a given frame is a latent that is not denoised
            return frozenset({"t2v", "i2v"})
        if self.pipe.transformer.config.in_channels > self.pipe.vae.config.z_dim:
            return frozenset({"i2v", "flf2v"})
        return frozenset({"t2v"})

    def load_pipeline(self, setup: EngineSetup) -> Any:
        # The decoder in fp32, as published: in bf16 it loses detail.
        return load_pipeline(DiffusionPipeline, setup, full_precision=("vae",))

    def pipeline_for(self, request: EngineRequest) -> Any:
        kind = WanPipeline if request.mode == "t2v" else WanImageToVideoPipeline
        # Not `from_pipe`: that casts all parts to one precision.
        pipe = kind(
            **{name: getattr(self.pipe, name, None) for name in PARTS},
            scheduler=self._scheduler(request),
            boundary_ratio=self.pipe.config.boundary_ratio,
            expand_timesteps=self.pipe.config.expand_timesteps,
        )
        pipe.set_progress_bar_config(disable=True)
        pin_device(pipe, self.device)
        return pipe

    def encode(self, request: EngineRequest, pictures: Pictures) -> Encoding:
        prompt, negative = self.pipe.encode_prompt(
            request.prompt,
            request.negative_prompt,
            do_classifier_free_guidance=self.guides(request),
            max_sequence_length=self.options(request).get("max_sequence_length", 512),
            device=self.device,
        )
        return {"prompt_embeds": prompt, "negative_prompt_embeds": negative}

    def arguments(self, request: EngineRequest, pictures: Pictures) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "width": request.width,
            "height": request.height,
            "num_frames": request.frames,
            "num_inference_steps": request.steps,
            "guidance_scale": request.guidance,
        }
        if self.pipe.config.boundary_ratio is not None:
            arguments["guidance_scale_2"] = self.options(request).get("guidance_2", request.guidance)
        if pictures.first is not None:
            arguments |= {"image": pictures.first, "last_image": pictures.last}
        return arguments

    def _scheduler(self, request: EngineRequest) -> Any:
        options = self.options(request)
        changes: dict[str, Any] = {}
        if "shift" in options:
            changes["flow_shift"] = options["shift"]
        if options.get("euler"):
            # UniPC of the first order that corrects nothing is Euler's method, step for step.
            changes |= {"solver_order": 1, "disable_corrector": list(range(request.steps or 0))}
        scheduler = self.pipe.scheduler
        return type(scheduler).from_config(scheduler.config, **changes) if changes else scheduler
