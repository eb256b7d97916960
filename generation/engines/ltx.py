"""LTX-Video (Lightricks) 0.9.x, 2B and 13B, full and distilled: text, a first frame, or a first and a last one.

Rules: width and height are multiples of 32, frames are 8k + 1. Weights from 0.9.5 on.

Options: `timesteps` (the fixed schedule of distilled weights), `decode_timestep` and `decode_noise_scale` (the
decoder denoises a last time), `image_cond_noise_scale` (noise on the given frames, for more motion),
`guidance_rescale`, `max_sequence_length` (tokens, default 256).
"""

from __future__ import annotations

from typing import Any, ClassVar

from diffusers import LTXConditionPipeline
from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition

from generation.engines.base import EngineRequest, EngineSetup
from generation.engines.diffusion import DiffusionEngine
from generation.engines.diffusion.engine import Pictures
from generation.engines.diffusion.loading import load_pipeline
from generation.engines.diffusion.prompts import Encoding

CALL_OPTIONS = (
    "timesteps",
    "decode_timestep",
    "decode_noise_scale",
    "image_cond_noise_scale",
    "guidance_rescale",
)


class LTXEngine(DiffusionEngine):
    """One pipeline for all modes: a given frame is a condition at its index."""

    name: ClassVar[str] = "ltx"
    version: ClassVar[str] = "1"

    def served_modes(self) -> frozenset[str]:
        return frozenset({"t2v", "i2v", "flf2v"})

    def load_pipeline(self, setup: EngineSetup) -> Any:
        pipe = load_pipeline(LTXConditionPipeline, setup)
        # The pipeline gives the schedule itself, and the scheduler must not bend it once more.
        pipe.scheduler.register_to_config(use_dynamic_shifting=False)
        return pipe

    def encode(self, request: EngineRequest, pictures: Pictures) -> Encoding:
        length = self.options(request).get("max_sequence_length", 256)
        return masked_words(self.pipe, request, guided=self.guides(request), length=length)

    def arguments(self, request: EngineRequest, pictures: Pictures) -> dict[str, Any]:
        options = self.options(request)
        conditions = [
            LTXVideoCondition(image=picture, frame_index=index)
            for picture, index in ((pictures.first, 0), (pictures.last, request.frames - 1))
            if picture is not None
        ]
        return {
            "conditions": conditions or None,
            "width": request.width,
            "height": request.height,
            "num_frames": request.frames,
            "frame_rate": request.fps,
            "num_inference_steps": request.steps,
            "guidance_scale": request.guidance,
            **{name: options[name] for name in CALL_OPTIONS if name in options},
        }


def masked_words(pipe: Any, request: EngineRequest, *, guided: bool, length: int) -> Encoding:
    """The words of LTX-Video and LTX-2 as their pipelines take them, each with the mask of its `length` tokens."""
    prompt, mask, negative, negative_mask = pipe.encode_prompt(
        request.prompt,
        request.negative_prompt,
        do_classifier_free_guidance=guided,
        max_sequence_length=length,
        device=pipe._execution_device,
    )
    return {
        "prompt_embeds": prompt,
        "prompt_attention_mask": mask,
        "negative_prompt_embeds": negative,
        "negative_prompt_attention_mask": negative_mask,
    }
