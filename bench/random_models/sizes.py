"""Sizes of every part: the published configurations, and tiny ones for any processor.

A model's `Sizes` name its parts as its pipeline does. What a configuration leaves out is as its class has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Config = dict[str, Any]
Sizes = Mapping[str, Config]
"""Part of the pipeline → its configuration."""

# --- Text encoders --------------------------------------------------------------------------------------------

T5_XXL: Config = {
    "vocab_size": 32128, "d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64,
    "feed_forward_proj": "gated-gelu", "is_encoder_decoder": False, "use_cache": False,
}  # fmt: skip
UMT5_XXL = T5_XXL | {"vocab_size": 256384}
T5_TINY = T5_XXL | {"vocab_size": 272, "d_model": 32, "d_kv": 8, "d_ff": 37, "num_layers": 2, "num_heads": 4}
LLAMA_3_8B: Config = {
    "vocab_size": 128320, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "rms_norm_eps": 1e-5, "max_position_embeddings": 8192,
    "bos_token_id": 3, "eos_token_id": 1, "pad_token_id": 0,
}  # fmt: skip
LLAMA_TINY = LLAMA_3_8B | {
    "vocab_size": 272, "hidden_size": 16, "intermediate_size": 37, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 2048,
}  # fmt: skip
CLIP_L_TEXT: Config = {
    "vocab_size": 49408, "hidden_size": 768, "intermediate_size": 3072, "projection_dim": 768,
    "num_hidden_layers": 12, "num_attention_heads": 12, "max_position_embeddings": 77, "bos_token_id": 3,
    "eos_token_id": 1, "pad_token_id": 0,
}  # fmt: skip
CLIP_TEXT_TINY = CLIP_L_TEXT | {
    "vocab_size": 272, "hidden_size": 8, "intermediate_size": 37, "projection_dim": 32, "num_hidden_layers": 2,
    "num_attention_heads": 4,
}  # fmt: skip

# --- Picture encoders -----------------------------------------------------------------------------------------

CLIP_H_VISION: Config = {
    "hidden_size": 1280, "intermediate_size": 5120, "projection_dim": 1024, "num_hidden_layers": 32,
    "num_attention_heads": 16, "image_size": 224, "patch_size": 14,
}  # fmt: skip
CLIP_H_TINY = CLIP_H_VISION | {
    "hidden_size": 32, "intermediate_size": 37, "projection_dim": 32, "num_hidden_layers": 2,
    "num_attention_heads": 4, "patch_size": 32,
}  # fmt: skip
CLIP_L_VISION: Config = {
    "hidden_size": 1024, "intermediate_size": 4096, "projection_dim": 768, "num_hidden_layers": 24,
    "num_attention_heads": 16, "image_size": 336, "patch_size": 14,
}  # fmt: skip
CLIP_L_VISION_TINY = CLIP_L_VISION | {
    "hidden_size": 8, "intermediate_size": 37, "projection_dim": 32, "num_hidden_layers": 2,
    "num_attention_heads": 4,
}  # fmt: skip

# --- Denoisers and decoders -----------------------------------------------------------------------------------

LTX_2B: Config = {
    "in_channels": 128, "out_channels": 128, "patch_size": 1, "patch_size_t": 1, "num_attention_heads": 32,
    "attention_head_dim": 64, "cross_attention_dim": 2048, "num_layers": 28, "caption_channels": 4096,
}  # fmt: skip
LTX_13B = LTX_2B | {"attention_head_dim": 128, "cross_attention_dim": 4096, "num_layers": 48}
LTX_VAE: Config = {
    "latent_channels": 128, "block_out_channels": (128, 256, 512, 1024, 2048),
    "down_block_types": ("LTXVideo095DownBlock3D",) * 4, "decoder_block_out_channels": (256, 512, 1024),
    "layers_per_block": (4, 6, 6, 2, 2), "decoder_layers_per_block": (5, 5, 5, 5),
    "spatio_temporal_scaling": (True,) * 4, "decoder_spatio_temporal_scaling": (True,) * 3,
    "decoder_inject_noise": (False,) * 4,
    "downsample_type": ("spatial", "temporal", "spatiotemporal", "spatiotemporal"),
    "upsample_residual": (True,) * 3, "upsample_factor": (2,) * 3, "timestep_conditioning": True, "patch_size": 4,
    "patch_size_t": 1, "encoder_causal": True, "decoder_causal": False, "spatial_compression_ratio": 32,
    "temporal_compression_ratio": 8,
}  # fmt: skip
LTX_TINY: Config = LTX_2B | {
    "in_channels": 8, "out_channels": 8, "num_attention_heads": 4, "attention_head_dim": 8,
    "cross_attention_dim": 32, "num_layers": 2, "caption_channels": 32,
}  # fmt: skip
LTX_VAE_TINY: Config = {
    "latent_channels": 8, "block_out_channels": (8,) * 4, "decoder_block_out_channels": (8,) * 4,
    "layers_per_block": (1,) * 5, "decoder_layers_per_block": (1,) * 5,
    "spatio_temporal_scaling": (True, True, False, False),
    "decoder_spatio_temporal_scaling": (True, True, False, False), "decoder_inject_noise": (False,) * 5,
    "upsample_residual": (False,) * 4, "upsample_factor": (1,) * 4, "timestep_conditioning": False,
    "patch_size": 1, "patch_size_t": 1,
}  # fmt: skip

COGVIDEOX_5B: Config = {
    "num_attention_heads": 48, "attention_head_dim": 64, "in_channels": 32, "out_channels": 16,
    "time_embed_dim": 512, "text_embed_dim": 4096, "num_layers": 42, "sample_width": 90, "sample_height": 60,
    "sample_frames": 49, "max_text_seq_length": 226, "use_rotary_positional_embeddings": True,
    "use_learned_positional_embeddings": True,
}  # fmt: skip
COGVIDEOX_VAE: Config = {
    "down_block_types": ("CogVideoXDownBlock3D",) * 4, "up_block_types": ("CogVideoXUpBlock3D",) * 4,
    "block_out_channels": (128, 256, 256, 512), "latent_channels": 16, "layers_per_block": 3,
    "scaling_factor": 0.7, "invert_scale_latents": True,
}  # fmt: skip
COGVIDEOX_TINY = COGVIDEOX_5B | {
    "num_attention_heads": 2, "attention_head_dim": 16, "in_channels": 8, "out_channels": 4, "time_embed_dim": 2,
    "text_embed_dim": 32, "num_layers": 2, "sample_width": 4, "sample_height": 4, "sample_frames": 9,
    "max_text_seq_length": 16,
}  # fmt: skip
COGVIDEOX_VAE_TINY = COGVIDEOX_VAE | {
    "block_out_channels": (8,) * 4, "latent_channels": 4, "layers_per_block": 1, "norm_num_groups": 2,
}  # fmt: skip

WAN_A14B: Config = {
    "num_attention_heads": 40, "attention_head_dim": 128, "in_channels": 36, "out_channels": 16,
    "text_dim": 4096, "ffn_dim": 13824, "num_layers": 40,
}  # fmt: skip
WAN_TINY = WAN_A14B | {
    "num_attention_heads": 2, "attention_head_dim": 12, "text_dim": 32, "ffn_dim": 32, "num_layers": 2,
}  # fmt: skip
WAN_VAE: Config = {}
"""As its class has it."""
WAN_VAE_TINY: Config = {"base_dim": 3, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1}

SVD: Config = {
    "sample_size": 96, "in_channels": 8, "out_channels": 4,
    "down_block_types": ("CrossAttnDownBlockSpatioTemporal",) * 3 + ("DownBlockSpatioTemporal",),
    "up_block_types": ("UpBlockSpatioTemporal",) + ("CrossAttnUpBlockSpatioTemporal",) * 3,
    "block_out_channels": (320, 640, 1280, 1280), "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 768, "layers_per_block": 2, "cross_attention_dim": 1024,
    "transformer_layers_per_block": 1, "num_attention_heads": (5, 10, 20, 20), "num_frames": 25,
}  # fmt: skip
SVD_TINY = SVD | {
    "sample_size": 32, "down_block_types": ("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
    "up_block_types": ("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"), "block_out_channels": (32, 64),
    "addition_time_embed_dim": 32, "projection_class_embeddings_input_dim": 96, "layers_per_block": 1,
    "cross_attention_dim": 32, "num_attention_heads": 8, "num_frames": 4,
}  # fmt: skip
SVD_VAE: Config = {
    "down_block_types": ("DownEncoderBlock2D",) * 4, "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2, "latent_channels": 4, "sample_size": 768, "scaling_factor": 0.18215,
    "force_upcast": True,
}  # fmt: skip
SVD_VAE_TINY = SVD_VAE | {
    "down_block_types": ("DownEncoderBlock2D",) * 2, "block_out_channels": (32, 64), "layers_per_block": 1,
    "sample_size": 32,
}  # fmt: skip

HUNYUAN_I2V: Config = {
    "in_channels": 16, "out_channels": 16, "num_attention_heads": 24, "attention_head_dim": 128, "num_layers": 20,
    "num_single_layers": 40, "num_refiner_layers": 2, "mlp_ratio": 4.0, "patch_size": 2, "patch_size_t": 1,
    "qk_norm": "rms_norm", "guidance_embeds": True, "text_embed_dim": 4096, "pooled_projection_dim": 768,
    "rope_theta": 256.0, "rope_axes_dim": (16, 56, 56), "image_condition_type": "token_replace",
}  # fmt: skip
HUNYUAN_TINY = HUNYUAN_I2V | {
    "in_channels": 4, "out_channels": 4, "num_attention_heads": 2, "attention_head_dim": 10, "num_layers": 1,
    "num_single_layers": 1, "num_refiner_layers": 1, "patch_size": 1, "text_embed_dim": 16,
    "pooled_projection_dim": 8, "rope_axes_dim": (2, 4, 4),
}  # fmt: skip
HUNYUAN_VAE: Config = {
    "down_block_types": ("HunyuanVideoDownBlock3D",) * 4, "up_block_types": ("HunyuanVideoUpBlock3D",) * 4,
    "latent_channels": 16, "block_out_channels": (128, 256, 512, 512), "layers_per_block": 2,
    "scaling_factor": 0.476986, "spatial_compression_ratio": 8, "temporal_compression_ratio": 4,
    "mid_block_add_attention": True,
}  # fmt: skip
HUNYUAN_VAE_TINY = HUNYUAN_VAE | {
    "latent_channels": 4, "block_out_channels": (8,) * 4, "layers_per_block": 1, "norm_num_groups": 4,
}  # fmt: skip
