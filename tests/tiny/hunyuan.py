"""Tiny HunyuanVideos: text to video, and from a first frame with both ways in which it enters."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import (
    AutoencoderKLHunyuanVideo,
    FlowMatchEulerDiscreteScheduler,
    HunyuanVideoImageToVideoPipeline,
    HunyuanVideoPipeline,
    HunyuanVideoTransformer3DModel,
)
from diffusers.pipelines.hunyuan_video import pipeline_hunyuan_video
from transformers import (
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPVisionConfig,
    LlamaConfig,
    LlamaModel,
    LlavaConfig,
    LlavaForConditionalGeneration,
)

from bench.random_models.tokenizers import IMAGE_TOKEN, PICTURE_TEMPLATE, llama_tokenizer, tokenizer
from tests.tiny.parts import VOCABULARY

CHANNELS = 4


def text_to_video() -> Any:
    torch.manual_seed(0)
    return HunyuanVideoPipeline(
        text_encoder=LlamaModel(_llama()).eval(),
        tokenizer=llama_tokenizer(pipeline_hunyuan_video.DEFAULT_PROMPT_TEMPLATE),
        transformer=_transformer(CHANNELS, guidance_embeds=True),
        **_common(),
    )


def token_replace() -> Any:
    """The first frame in the place of the first latent frame; guidance is embedded."""
    torch.manual_seed(0)
    return _from_picture(_transformer(CHANNELS, guidance_embeds=True, image_condition_type="token_replace"))


def latent_concat() -> Any:
    """The first frame beside all latent frames; no guidance is embedded."""
    torch.manual_seed(0)
    return _from_picture(
        _transformer(2 * CHANNELS + 1, guidance_embeds=False, image_condition_type="latent_concat")
    )


def _from_picture(transformer: Any) -> Any:
    eye = CLIPVisionConfig(
        hidden_size=8, intermediate_size=37, projection_dim=32, num_attention_heads=4, num_hidden_layers=2,
        image_size=336, patch_size=14,
    )  # fmt: skip
    reader = LlavaForConditionalGeneration(
        LlavaConfig(vision_config=eye, text_config=_llama(), image_token_index=IMAGE_TOKEN, pad_token_id=0)
    )
    return HunyuanVideoImageToVideoPipeline(
        text_encoder=reader.eval(),
        tokenizer=llama_tokenizer(PICTURE_TEMPLATE),
        transformer=transformer,
        image_processor=CLIPImageProcessor(crop_size=336, size=336),
        **_common(),
    )


def _common() -> dict[str, Any]:
    vae = AutoencoderKLHunyuanVideo(
        in_channels=3, out_channels=3, latent_channels=CHANNELS,
        down_block_types=("HunyuanVideoDownBlock3D",) * 4, up_block_types=("HunyuanVideoUpBlock3D",) * 4,
        block_out_channels=(8,) * 4, layers_per_block=1, norm_num_groups=4, spatial_compression_ratio=8,
        temporal_compression_ratio=4, mid_block_add_attention=True,
    )  # fmt: skip
    clip = CLIPTextModel(
        CLIPTextConfig(
            bos_token_id=3, eos_token_id=1, hidden_size=8, intermediate_size=37, num_attention_heads=4,
            num_hidden_layers=2, pad_token_id=0, vocab_size=VOCABULARY, projection_dim=32,
        )
    )  # fmt: skip
    return {
        "vae": vae.eval(),
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=7.0),
        "text_encoder_2": clip.eval(),
        "tokenizer_2": tokenizer(bos=True, length=77),
    }


def _transformer(in_channels: int, **config: Any) -> Any:
    return HunyuanVideoTransformer3DModel(
        in_channels=in_channels, out_channels=CHANNELS, num_attention_heads=2, attention_head_dim=10, num_layers=1,
        num_single_layers=1, num_refiner_layers=1, patch_size=1, patch_size_t=1, text_embed_dim=16,
        pooled_projection_dim=8, rope_axes_dim=(2, 4, 4), **config,
    ).eval()  # fmt: skip


def _llama() -> Any:
    return LlamaConfig(
        bos_token_id=3, eos_token_id=1, hidden_size=16, intermediate_size=37, num_attention_heads=4,
        num_hidden_layers=3, pad_token_id=0, vocab_size=VOCABULARY, max_position_embeddings=2048,
    )  # fmt: skip
