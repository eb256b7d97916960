"""Stable Video Diffusion (Stability AI), XT 1.1: a picture begins to move. It takes no words: they are ignored.

Rules: width and height are multiples of 64; the weights are trained on 25 frames. The request's frame rate is told
to the model, and so changes how things move.

Options: `motion_bucket_id` (how much moves, 0 to 255, default 127), `noise_aug_strength` (noise on the picture,
for more motion, default 0.02), `min_guidance` (the first frame's guidance, rising to the request's at the last,
default 1), `decode_chunk_size` (frames that are decoded together, default all; memory plans that decode in tiles
take two).
"""

from __future__ import annotations

from typing import Any, ClassVar

from diffusers import StableVideoDiffusionPipeline

from generation.engines.base import EngineRequest, EngineSetup
from generation.engines.diffusion import DiffusionEngine
from generation.engines.diffusion.engine import Pictures
from generation.engines.diffusion.loading import load_pipeline
from generation.engines.diffusion.memory import plan_called
from generation.engines.diffusion.prompts import Encoding

FEWEST_TOGETHER = 2
"""Frames: the decoder looks at neighbours, so that single ones would flicker."""


class SVDEngine(DiffusionEngine):
    """Picture in, clip out."""

    name: ClassVar[str] = "svd"
    version: ClassVar[str] = "1"

    def served_modes(self) -> frozenset[str]:
        return frozenset({"i2v"})

    def load_pipeline(self, setup: EngineSetup) -> Any:
        halves: dict[str, Any] = {"variant": "fp16"} if setup.precision == "fp16" else {}
        return load_pipeline(StableVideoDiffusionPipeline, setup, **halves)

    def words_key(self, request: EngineRequest) -> tuple[Any, ...]:
        return ()

    def encode(self, request: EngineRequest, pictures: Pictures) -> Encoding:
        return {}

    def arguments(self, request: EngineRequest, pictures: Pictures) -> dict[str, Any]:
        options = self.options(request)
        in_tiles = plan_called(self.memory_plan).decodes_in_tiles
        return {
            "image": pictures.first,
            "width": request.width,
            "height": request.height,
            "num_frames": request.frames,
            "num_inference_steps": request.steps,
            "fps": request.fps,
            "min_guidance_scale": options.get("min_guidance", 1.0),
            "max_guidance_scale": request.guidance,
            "motion_bucket_id": options.get("motion_bucket_id", 127),
            "noise_aug_strength": options.get("noise_aug_strength", 0.02),
            "decode_chunk_size": FEWEST_TOGETHER if in_tiles else options.get("decode_chunk_size"),
        }
