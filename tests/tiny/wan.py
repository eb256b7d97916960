"""Tiny Wans: the 2.2 A14B with two experts, for pictures and for words, and the 5B with one."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import (
    AutoencoderKLWan,
    UniPCMultistepScheduler,
    WanImageToVideoPipeline,
    WanPipeline,
    WanTransformer3DModel,
)
from transformers import UMT5Config, UMT5EncoderModel

from bench.random_models.tokenizers import tokenizer
from tests.tiny.parts import t5


def i2v() -> Any:
    return WanImageToVideoPipeline(
        **_parts(), vae=_vae(), transformer=_expert(36, 0), transformer_2=_expert(36, 1), boundary_ratio=0.9
    )


def t2v() -> Any:
    return WanPipeline(
        **_parts(), vae=_vae(), transformer=_expert(16, 0), transformer_2=_expert(16, 1), boundary_ratio=0.875
    )


def ti2v() -> Any:
    torch.manual_seed(0)
    vae = AutoencoderKLWan(
        base_dim=3, z_dim=48, in_channels=12, out_channels=12, dim_mult=[1, 1, 1, 1], num_res_blocks=1,
        temperal_downsample=[False, True, True], is_residual=True, patch_size=2, scale_factor_spatial=16,
        latents_mean=[0.0] * 48, latents_std=[1.0] * 48,
    )  # fmt: skip
    return WanPipeline(**_parts(), vae=vae.eval(), transformer=_expert(48, 0, 48), expand_timesteps=True)


def _parts() -> dict[str, Any]:
    scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)
    return {
        "tokenizer": tokenizer(),
        "text_encoder": t5(model=UMT5EncoderModel, config=UMT5Config),
        "scheduler": scheduler,
    }


def _vae() -> Any:
    torch.manual_seed(0)
    return AutoencoderKLWan(
        base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    ).eval()


def _expert(channels: int, seed: int, made: int = 16) -> Any:
    torch.manual_seed(seed)
    return WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=channels,
        out_channels=made, text_dim=32, freq_dim=256, ffn_dim=32, num_layers=2, cross_attn_norm=True,
        qk_norm="rms_norm_across_heads", rope_max_seq_len=32,
    ).eval()  # fmt: skip
