"""HunyuanVideo 1.5 (Tencent, 8.3B): text to video, or from a first frame; full, or distilled.

Rules: width and height are multiples of 16, frames are 4k + 1. The weights say which of the two they are for, and
for which area they were trained (480p or 720p). Guidance is a second, unconditional forward; 1 is none.

Text in quotation marks in the prompt is read letter by letter, to be written in the clip.
"""

from __future__ import annotations

from typing import Any, ClassVar

from diffusers import HunyuanVideo15ImageToVideoPipeline, HunyuanVideo15Pipeline
from diffusers.pipelines.hunyuan_video1_5.image_processor import HunyuanVideo15ImageProcessor

from generation.engines.base import EngineRequest, EngineSetup
from generation.engines.diffusion import DiffusionEngine
from generation.engines.diffusion.engine import Pictures
from generation.engines.diffusion.loading import load_pipeline, pipeline_class
from generation.engines.diffusion.prompts import Encoding

ENCODED = ("prompt_embeds", "prompt_embeds_mask", "prompt_embeds_2", "prompt_embeds_mask_2")
"""What the pipeline makes of words, in its order."""


class HunyuanVideo15Engine(DiffusionEngine):
    """One of two pipelines, by what the weights were saved from."""

    name: ClassVar[str] = "hunyuan-video-1.5"
    version: ClassVar[str] = "1"

    def served_modes(self) -> frozenset[str]:
        return frozenset({"i2v" if self._from_picture else "t2v"})

    def load_pipeline(self, setup: EngineSetup) -> Any:
        kind = pipeline_class(setup, HunyuanVideo15ImageToVideoPipeline, HunyuanVideo15Pipeline)
        pipe = load_pipeline(kind, setup)
        self._from_picture = kind is HunyuanVideo15ImageToVideoPipeline
        if self._from_picture:
            pipe.video_processor = _SizeOfThePicture.from_config(pipe.video_processor.config)
        # Under every plan: the decoder's attention over whole clips needs more memory than there is.
        pipe.vae.enable_tiling()
        return pipe

    def encode(self, request: EngineRequest, pictures: Pictures) -> Encoding:
        words = dict(zip(ENCODED, self._read(request.prompt), strict=True))
        if self.guides(request):
            negative = zip(ENCODED, self._read(request.negative_prompt), strict=True)
            words |= {f"negative_{name}": part for name, part in negative}
        return words

    def arguments(self, request: EngineRequest, pictures: Pictures) -> dict[str, Any]:
        self.pipe.guider = self.pipe.guider.new(guidance_scale=max(request.guidance or 1.0, 1.0))
        if self._from_picture:
            framed: dict[str, Any] = {"image": pictures.first}
        else:
            framed = {"width": request.width, "height": request.height}
        return {**framed, "num_frames": request.frames, "num_inference_steps": request.steps}

    def _read(self, words: str) -> tuple[Any, ...]:
        encoded: tuple[Any, ...] = self.pipe.encode_prompt(words, device=self.device)
        return encoded


class _SizeOfThePicture(HunyuanVideo15ImageProcessor):
    """The clip has the picture's size: it was framed to what was asked for, not to the nearest of a list."""

    def calculate_default_height_width(self, height: int, width: int, target_size: int) -> tuple[int, int]:
        return height, width
