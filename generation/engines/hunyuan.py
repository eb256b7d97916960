"""HunyuanVideo (Tencent, 13B): text to video, or a first frame that the words are read together with.

Rules: width and height are multiples of 16, frames are 4k + 1. The weights say which of the two they are for, and
how the first frame enters: in the place of the first latent frame (`token_replace`), or beside all of them
(`latent_concat`).

Weights that embed the guidance take the request's as such, in one forward a step. The others are guided by a
second, unconditional forward.

Options: `true_cfg_scale` (a second forward on top of embedded guidance; 1 is none), `max_sequence_length` (tokens
of the prompt, default 256).
"""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

from diffusers import HunyuanVideoImageToVideoPipeline, HunyuanVideoPipeline
from PIL import Image

from generation.engines.base import EngineRequest, EngineSetup
from generation.engines.diffusion import DiffusionEngine
from generation.engines.diffusion.engine import Pictures
from generation.engines.diffusion.loading import load_pipeline, pipeline_class
from generation.engines.diffusion.prompts import Encoding

HALF_PRECISION = ("text_encoder", "text_encoder_2", "vae")
"""As published: the denoiser in bf16, everything else in fp16."""
IMAGE_TOKENS_KEPT = {"latent_concat": 2, "token_replace": 4}
"""Of the tokens that the language model sees the picture as, every so many-th guides the denoiser."""
DROPPED_FRAMES = 4
"""With `latent_concat` the first latent frame is the picture's: the pipeline drops what it decodes to."""


class HunyuanVideoEngine(DiffusionEngine):
    """One of two pipelines, by what the weights were saved from."""

    name: ClassVar[str] = "hunyuan-video"
    version: ClassVar[str] = "1"

    def served_modes(self) -> frozenset[str]:
        return frozenset({"i2v" if self._from_picture else "t2v"})

    def load_pipeline(self, setup: EngineSetup) -> Any:
        kind = pipeline_class(setup, HunyuanVideoImageToVideoPipeline, HunyuanVideoPipeline)
        pipe = load_pipeline(kind, setup, half_precision=HALF_PRECISION)
        # Under every plan: the decoder's attention over whole frames needs tens of GiB.
        pipe.vae.enable_tiling()
        return pipe

    def guides(self, request: EngineRequest) -> bool:
        return self._true_cfg_scale(request) > 1.0

    def words_key(self, request: EngineRequest) -> tuple[Any, ...]:
        picture: tuple[Any, ...] = ()
        if request.image is not None:
            picture = hashlib.sha256(request.image.read_bytes()).digest(), request.width, request.height
        negative = request.negative_prompt if self.guides(request) else None
        return request.prompt, negative, picture

    def encode(self, request: EngineRequest, pictures: Pictures) -> Encoding:
        embeds, pooled, mask = self._read(request, request.prompt, pictures.first)
        words = {"prompt_embeds": embeds, "pooled_prompt_embeds": pooled, "prompt_attention_mask": mask}
        if self.guides(request):
            black = Image.new("RGB", (request.width, request.height))
            embeds, pooled, mask = self._read(request, request.negative_prompt, black)
            words |= {
                "negative_prompt_embeds": embeds,
                "negative_pooled_prompt_embeds": pooled,
                "negative_prompt_attention_mask": mask,
            }
        return words

    def arguments(self, request: EngineRequest, pictures: Pictures) -> dict[str, Any]:
        dropped = DROPPED_FRAMES if self._condition_type == "latent_concat" else 0
        return {
            **({"image": pictures.first} if self._from_picture else {}),
            "width": request.width,
            "height": request.height,
            "num_frames": request.frames + dropped,
            "num_inference_steps": request.steps,
            "guidance_scale": request.guidance if self._embeds_guidance else 1.0,
            "true_cfg_scale": self._true_cfg_scale(request),
        }

    @property
    def _from_picture(self) -> bool:
        return isinstance(self.pipe, HunyuanVideoImageToVideoPipeline)

    @property
    def _condition_type(self) -> str | None:
        """How the first frame enters the denoiser; None in text to video."""
        kind: str | None = self.pipe.transformer.config.image_condition_type
        return kind

    @property
    def _embeds_guidance(self) -> bool:
        return bool(self.pipe.transformer.config.guidance_embeds)

    def _true_cfg_scale(self, request: EngineRequest) -> float:
        embedded = self._embeds_guidance
        scale: float = self.options(request).get("true_cfg_scale", 1.0) if embedded else request.guidance or 1.0
        return scale

    def _read(self, request: EngineRequest, words: str, picture: Image.Image | None) -> tuple[Any, Any, Any]:
        """Embeddings of the words, seen together with the picture where there is one; pooled ones; the mask."""
        seen: dict[str, Any] = {}
        if self._from_picture:
            seen = {"image": picture, "image_embed_interleave": IMAGE_TOKENS_KEPT[self._condition_type or ""]}
        embeds, pooled, mask = self.pipe.encode_prompt(
            prompt=words,
            max_sequence_length=self.options(request).get("max_sequence_length", 256),
            device=self.device,
            **seen,
        )
        return embeds, pooled, mask
