"""CogVideoX (Zhipu AI): 5B and 1.5 5B, from a picture or from words; the weights are for one of the two.

Rules: width and height are multiples of 16, frames are 8k + 1. The 5B for pictures makes 720 × 480 alone: its
positions are learned. 1.5 takes frames in pairs; the pipeline pads them and takes the padding off again.

Options: `use_dynamic_cfg` (guidance that rises with the steps; published for all 5B weights),
`max_sequence_length` (tokens; default: what the weights were trained with).
"""

from __future__ import annotations

from typing import Any, ClassVar

from diffusers import CogVideoXDPMScheduler, DiffusionPipeline

from generation.engines.base import EngineError, EngineRequest, EngineSetup
from generation.engines.diffusion import DiffusionEngine
from generation.engines.diffusion.engine import Pictures
from generation.engines.diffusion.loading import load_pipeline
from generation.engines.diffusion.prompts import Encoding


class CogVideoXEngine(DiffusionEngine):
    """The weights say which pipeline they are for."""

    name: ClassVar[str] = "cogvideox"
    version: ClassVar[str] = "1"

    def served_modes(self) -> frozenset[str]:
        takes_picture = self.pipe.transformer.config.in_channels > self.pipe.vae.config.latent_channels
        return frozenset({"i2v"} if takes_picture else {"t2v"})

    def load_pipeline(self, setup: EngineSetup) -> Any:
        pipe = load_pipeline(DiffusionPipeline, setup)
        if isinstance(pipe.scheduler, CogVideoXDPMScheduler):
            # The published inference code sets it beside the scheduler.
            pipe.scheduler.register_to_config(timestep_spacing="trailing")
        return pipe

    def encode(self, request: EngineRequest, pictures: Pictures) -> Encoding:
        trained_with = self.pipe.transformer.config.max_text_seq_length
        prompt, negative = self.pipe.encode_prompt(
            request.prompt,
            request.negative_prompt,
            do_classifier_free_guidance=self.guides(request),
            max_sequence_length=self.options(request).get("max_sequence_length", trained_with),
            device=self.device,
        )
        return {"prompt_embeds": prompt, "negative_prompt_embeds": negative}

    def arguments(self, request: EngineRequest, pictures: Pictures) -> dict[str, Any]:
        self._check_size(request)
        options = self.options(request)
        given = {} if pictures.first is None else {"image": pictures.first}
        return {
            **given,
            "width": request.width,
            "height": request.height,
            "num_frames": request.frames,
            "num_inference_steps": request.steps,
            "guidance_scale": request.guidance,
            "use_dynamic_cfg": options.get("use_dynamic_cfg", False),
        }

    def _check_size(self, request: EngineRequest) -> None:
        """Learned positions are for one size. The pipeline would say so, but only in the first step."""
        config = self.pipe.transformer.config
        if not config.use_learned_positional_embeddings:
            return
        factor = self.pipe.vae_scale_factor_spatial
        width, height = config.sample_width * factor, config.sample_height * factor
        if (request.width, request.height) != (width, height):
            raise EngineError(
                "size_unsupported",
                f"the size must be {width} × {height}, but is {request.width} × {request.height}",
                "user",
            )
