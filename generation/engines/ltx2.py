"""LTX-2 (Lightricks) 2.0 and 2.3: clips with their sound, from text, a first frame, or a first and a last one.

Rules: width and height are multiples of 32, frames are 8k + 1. Picture and sound are denoised together, each by a
schedule of its own.

Up to three guidances act at once, each with a scale for the picture and one for the sound: by the words (the
request's `guidance`, and `audio_guidance_scale`; 1 is none), against a forward that leaves out the blocks in
`spatio_temporal_guidance_blocks` (`stg_scale`, `audio_stg_scale`; 0 is none), and against one in which picture and
sound do not hear of each other (`modality_scale`, `audio_modality_scale`; 1 is none). Scales that are not there
are the pipeline's; one for the sound that is 0 is the picture's.

Further options: `sigmas` (the fixed schedule of distilled weights, in place of steps), `guidance_rescale`,
`audio_guidance_rescale`, `use_cross_timestep` (false for 2.0), `decode_timestep`, `decode_noise_scale`,
`max_sequence_length` (tokens, default 1024), `image_crf` (how strongly the given frames are compressed, as those
were that the model has learnt from; 0 is not at all).
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from diffusers import LTX2ConditionPipeline
from diffusers.pipelines.ltx2.pipeline_ltx2_condition import LTX2VideoCondition

from generation.engines.base import EngineError, EngineRequest, EngineSetup, FrameSink
from generation.engines.diffusion import DiffusionEngine
from generation.engines.diffusion.engine import Pictures
from generation.engines.diffusion.loading import load_pipeline
from generation.engines.diffusion.prompts import Encoding
from generation.engines.ltx import masked_words

CALL_OPTIONS = (
    "sigmas",
    "stg_scale",
    "audio_stg_scale",
    "modality_scale",
    "audio_modality_scale",
    "guidance_rescale",
    "audio_guidance_rescale",
    "spatio_temporal_guidance_blocks",
    "use_cross_timestep",
    "decode_timestep",
    "decode_noise_scale",
)
AUDIO_GUIDANCE_SCALE = 7.0
LOUDEST = 2**15 - 1


class LTX2Engine(DiffusionEngine):
    """One pipeline for all modes: a given frame is a condition at its place among the latent frames."""

    name: ClassVar[str] = "ltx2"
    version: ClassVar[str] = "1"

    def served_modes(self) -> frozenset[str]:
        return frozenset({"t2v", "i2v", "flf2v"})

    def load_pipeline(self, setup: EngineSetup) -> Any:
        pipe = load_pipeline(LTX2ConditionPipeline, setup)
        # The prompts are filled up on the left, whatever the tokenizer's file says, and the connectors must know.
        pipe.tokenizer_padding_side = "left"
        self._own_schedule = {
            name: pipe.scheduler.config[name] for name in ("use_dynamic_shifting", "shift_terminal")
        }
        return pipe

    def guides(self, request: EngineRequest) -> bool:
        return max(request.guidance or 0.0, self._audio_guidance(request)) > 1.0

    def words_key(self, request: EngineRequest) -> tuple[Any, ...]:
        return request.prompt, request.negative_prompt if self.guides(request) else None

    def encode(self, request: EngineRequest, pictures: Pictures) -> Encoding:
        length = self.options(request).get("max_sequence_length", 1024)
        return masked_words(self.pipe, request, guided=self.guides(request), length=length)

    def arguments(self, request: EngineRequest, pictures: Pictures) -> dict[str, Any]:
        options = self.options(request)
        # A fixed schedule must not be bent once more.
        fixed = {"use_dynamic_shifting": False, "shift_terminal": None}
        self.pipe.scheduler.register_to_config(**fixed if "sigmas" in options else self._own_schedule)
        crf = options.get("image_crf")
        conditions = [
            LTX2VideoCondition(frames=picture, index=latent_frame, crf=crf)
            for picture, latent_frame in ((pictures.first, 0), (pictures.last, -1))
            if picture is not None
        ]
        return {
            "conditions": conditions or None,
            "width": request.width,
            "height": request.height,
            "num_frames": request.frames,
            "frame_rate": float(request.fps),
            "num_inference_steps": request.steps,
            "guidance_scale": request.guidance,
            "audio_guidance_scale": self._audio_guidance(request),
            **{name: options[name] for name in CALL_OPTIONS if name in options},
        }

    def hand_over_sound(self, output: Any, sink: FrameSink) -> None:
        """The vocoder's waves (channels × samples, -1 to 1) as whole numbers."""
        waves = output.audio[0].float()
        if not bool(torch.isfinite(waves).all()):
            raise EngineError("not_finite", "the model made sound that is no numbers", "ours")
        samples = (waves.clamp(-1, 1) * LOUDEST).round().to(torch.int16).T.contiguous()
        sink.sound(samples.cpu().numpy(), self.pipe.vocoder.config.output_sampling_rate)

    def _audio_guidance(self, request: EngineRequest) -> float:
        scale: float = self.options(request).get("audio_guidance_scale", AUDIO_GUIDANCE_SCALE)
        return scale or request.guidance or 0.0
