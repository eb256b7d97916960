"""Tiny denoisers of every class that a step cache serves, with inputs for one call of each."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import (
    CogVideoXTransformer3DModel,
    HunyuanVideoTransformer3DModel,
    LTX2VideoTransformer3DModel,
    LTXVideoTransformer3DModel,
    WanTransformer3DModel,
)

from bench.random_models.sizes import COGVIDEOX_TINY, LTX_TINY, WAN_TINY

Call = tuple[Any, dict[str, Any]]


def denoisers() -> dict[str, Call]:
    """By class: the denoiser, and what it is called with."""
    torch.manual_seed(0)
    calls = [_ltx(), _ltx2(), _wan(), _hunyuan(), _cogvideox()]
    return {type(denoiser).__name__: (denoiser.eval(), inputs) for denoiser, inputs in calls}


def _ltx() -> Call:
    inputs = {
        "hidden_states": torch.randn(1, 16, 8), "encoder_hidden_states": torch.randn(1, 4, 32),
        "encoder_attention_mask": torch.ones(1, 4), "timestep": torch.tensor([500]), "num_frames": 1, "height": 4,
        "width": 4,
    }  # fmt: skip
    return LTXVideoTransformer3DModel(**LTX_TINY), inputs


def _ltx2() -> Call:
    transformer = LTX2VideoTransformer3DModel(
        in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=8, cross_attention_dim=16,
        audio_in_channels=4, audio_out_channels=4, audio_num_attention_heads=2, audio_attention_head_dim=4,
        audio_cross_attention_dim=8, num_layers=2, caption_channels=16, rope_type="interleaved",
    )  # fmt: skip
    inputs = {
        "hidden_states": torch.randn(1, 8, 4), "audio_hidden_states": torch.randn(1, 6, 4),
        "encoder_hidden_states": torch.randn(1, 4, 16), "audio_encoder_hidden_states": torch.randn(1, 4, 16),
        "timestep": torch.tensor([500.0]), "num_frames": 2, "height": 2, "width": 2, "fps": 25.0,
        "audio_num_frames": 6,
    }  # fmt: skip
    return transformer, inputs


def _wan() -> Call:
    inputs = {
        "hidden_states": torch.randn(1, 36, 2, 4, 4), "timestep": torch.tensor([500]),
        "encoder_hidden_states": torch.randn(1, 4, 32),
    }  # fmt: skip
    return WanTransformer3DModel(**WAN_TINY), inputs


def _hunyuan() -> Call:
    transformer = HunyuanVideoTransformer3DModel(
        in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=10, num_layers=2,
        num_single_layers=2, num_refiner_layers=1, patch_size=1, patch_size_t=1, guidance_embeds=False,
        text_embed_dim=16, pooled_projection_dim=8, rope_axes_dim=(2, 4, 4),
    )  # fmt: skip
    inputs = {
        "hidden_states": torch.randn(1, 4, 2, 4, 4), "timestep": torch.tensor([500]),
        "encoder_hidden_states": torch.randn(1, 4, 16), "encoder_attention_mask": torch.ones(1, 4),
        "pooled_projections": torch.randn(1, 8),
    }  # fmt: skip
    return transformer, inputs


def _cogvideox() -> Call:
    config = COGVIDEOX_TINY | {"use_rotary_positional_embeddings": False}
    config |= {"use_learned_positional_embeddings": False}
    inputs = {
        "hidden_states": torch.randn(1, 3, 8, 4, 4), "timestep": torch.tensor([500]),
        "encoder_hidden_states": torch.randn(1, 16, 32),
    }  # fmt: skip
    return CogVideoXTransformer3DModel(**config), inputs
