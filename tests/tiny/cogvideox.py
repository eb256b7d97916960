"""Tiny CogVideoX: 5B for pictures and for words, and 1.5, which takes frames in pairs."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    CogVideoXDPMScheduler,
    CogVideoXImageToVideoPipeline,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
)

from bench.random_models.tokenizers import tokenizer
from tests.tiny.parts import t5


def i2v() -> Any:
    return CogVideoXImageToVideoPipeline(**_parts(in_channels=8, use_learned_positional_embeddings=True))


def t2v() -> Any:
    return CogVideoXPipeline(**_parts(in_channels=4))


def i2v_15() -> Any:
    return CogVideoXImageToVideoPipeline(
        **_parts(in_channels=8, size=8, patch_size_t=2, ofs_embed_dim=2, patch_bias=False)
    )


def _parts(size: int = 4, **of_transformer: Any) -> dict[str, Any]:
    torch.manual_seed(0)
    transformer = CogVideoXTransformer3DModel(
        num_attention_heads=2, attention_head_dim=16, out_channels=4, time_embed_dim=2, text_embed_dim=32,
        num_layers=2, sample_width=size, sample_height=size, sample_frames=9, patch_size=2,
        temporal_compression_ratio=4,
        max_text_seq_length=16, use_rotary_positional_embeddings=True, **of_transformer,
    )  # fmt: skip
    vae = AutoencoderKLCogVideoX(
        in_channels=3, out_channels=3, down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4, block_out_channels=(8, 8, 8, 8), latent_channels=4,
        layers_per_block=1, norm_num_groups=2, temporal_compression_ratio=4,
    )  # fmt: skip
    scheduler = CogVideoXDPMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type="v_prediction",
        rescale_betas_zero_snr=True, set_alpha_to_one=True, snr_shift_scale=1.0,
    )  # fmt: skip
    return {
        "tokenizer": tokenizer(length=226),
        "text_encoder": t5(),
        "vae": vae.eval(),
        "transformer": transformer.eval(),
        "scheduler": scheduler,
    }
