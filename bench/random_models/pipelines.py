"""Pipelines of parts with random weights, as the families' engines leave them after loading.

Each function takes the sizes of its parts and the precision of the denoiser, and makes them on the current device.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import diffusers
import torch
import transformers

from bench.random_models.sizes import Config, Sizes
from bench.random_models.tokenizers import IMAGE_TOKEN, PICTURE_TEMPLATE, llama_tokenizer, tokenizer


@contextmanager
def made_on(device: torch.device) -> Iterator[None]:
    """While this is open, models are made on the device, the same ones each time."""
    torch.manual_seed(0)
    with torch.device(device):
        yield


@contextmanager
def _in_precision(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def part(name: str, config: Config, dtype: torch.dtype) -> Any:
    """A model of diffusers' class `name`, in `dtype` but for what its class keeps in fp32."""
    with _in_precision(dtype):
        model = getattr(diffusers, name)(**config).eval().requires_grad_(False)
    kept = getattr(model, "_keep_in_fp32_modules", None) or []
    for at, weights in model.named_parameters():
        if any(piece in kept for piece in at.split(".")):
            weights.data = weights.data.float()
    return model


def encoder(name: str, config: Any, dtype: torch.dtype) -> Any:
    """A model of transformers' class `name`; `config` is its configuration, or what that is made of."""
    kind = getattr(transformers, name)
    with _in_precision(dtype):
        model = kind(kind.config_class(**config) if isinstance(config, dict) else config)
    return model.eval().requires_grad_(False)


def scheduler(name: str, **config: Any) -> Any:
    """A scheduler of diffusers' class `name`. In main memory, as theirs are, whatever the current device."""
    with torch.device("cpu"):
        return getattr(diffusers, name)(**config)


def ltx(sizes: Sizes, dtype: torch.dtype) -> Any:
    """LTX-Video from 0.9.5 on."""
    return diffusers.LTXConditionPipeline(
        scheduler=scheduler("FlowMatchEulerDiscreteScheduler"),
        vae=part("AutoencoderKLLTXVideo", sizes["vae"], dtype),
        text_encoder=encoder("T5EncoderModel", sizes["text_encoder"], dtype),
        tokenizer=tokenizer(),
        transformer=part("LTXVideoTransformer3DModel", sizes["transformer"], dtype),
    )


def cogvideox(sizes: Sizes, dtype: torch.dtype) -> Any:
    """CogVideoX from a picture, with the scheduler of the published code."""
    return diffusers.CogVideoXImageToVideoPipeline(
        tokenizer=tokenizer(),
        text_encoder=encoder("T5EncoderModel", sizes["text_encoder"], dtype),
        vae=part("AutoencoderKLCogVideoX", sizes["vae"], dtype),
        transformer=part("CogVideoXTransformer3DModel", sizes["transformer"], dtype),
        scheduler=scheduler(
            "CogVideoXDPMScheduler", beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
            prediction_type="v_prediction", rescale_betas_zero_snr=True, snr_shift_scale=1.0,
            timestep_spacing="trailing",
        ),
    )  # fmt: skip


def wan(sizes: Sizes, dtype: torch.dtype) -> Any:
    """Wan 2.2 A14B from a picture: two experts of one size, the decoder in fp32."""
    high, low = (part("WanTransformer3DModel", sizes["transformer"], dtype) for _ in range(2))
    return diffusers.WanImageToVideoPipeline(
        tokenizer=tokenizer(),
        text_encoder=encoder("UMT5EncoderModel", sizes["text_encoder"], dtype),
        vae=part("AutoencoderKLWan", sizes["vae"], torch.float32),
        scheduler=scheduler(
            "UniPCMultistepScheduler", prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0
        ),
        transformer=high,
        transformer_2=low,
        boundary_ratio=0.9,
    )


def svd(sizes: Sizes, dtype: torch.dtype) -> Any:
    """Stable Video Diffusion XT 1.1."""
    return diffusers.StableVideoDiffusionPipeline(
        vae=part("AutoencoderKLTemporalDecoder", sizes["vae"], dtype),
        image_encoder=encoder("CLIPVisionModelWithProjection", sizes["image_encoder"], dtype),
        unet=part("UNetSpatioTemporalConditionModel", sizes["unet"], dtype),
        scheduler=scheduler(
            "EulerDiscreteScheduler", beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
            interpolation_type="linear", prediction_type="v_prediction", sigma_max=700.0, sigma_min=0.002,
            steps_offset=1, timestep_spacing="leading", timestep_type="continuous", use_karras_sigmas=True,
        ),
        feature_extractor=transformers.CLIPImageProcessor(crop_size=224, size=224),
    )  # fmt: skip


def hunyuan(sizes: Sizes, dtype: torch.dtype) -> Any:
    """HunyuanVideo from a picture in the place of the first latent frame: everything but the denoiser in fp16."""
    half = torch.float16 if dtype == torch.bfloat16 else dtype
    pipe = diffusers.HunyuanVideoImageToVideoPipeline(
        text_encoder=encoder("LlavaForConditionalGeneration", _llava(sizes), half),
        tokenizer=llama_tokenizer(PICTURE_TEMPLATE),
        transformer=part("HunyuanVideoTransformer3DModel", sizes["transformer"], dtype),
        vae=part("AutoencoderKLHunyuanVideo", sizes["vae"], half),
        scheduler=scheduler("FlowMatchEulerDiscreteScheduler", shift=7.0),
        text_encoder_2=encoder("CLIPTextModel", sizes["text_encoder_2"], half),
        tokenizer_2=tokenizer(bos=True, length=77),
        image_processor=transformers.CLIPImageProcessor(crop_size=336, size=336),
    )
    pipe.vae.enable_tiling()
    return pipe


def _llava(sizes: Sizes) -> Any:
    return transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**sizes["text_encoder_eye"]),
        text_config=transformers.LlamaConfig(**sizes["text_encoder"]),
        image_token_index=IMAGE_TOKEN,
        pad_token_id=0,
    )
