"""Pipelines with random weights in their true sizes, made where they are used: no file is read.

Sizes are those of the published configurations. What such a pipeline makes is noise, in the time that the real one
takes. Text encoders are left out: words are random numbers of the right shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import diffusers
import torch
from PIL import Image

from generation.engines.base import EngineRequest, EngineSetup
from generation.engines.diffusion import DiffusionEngine
from generation.engines.diffusion.engine import Pictures
from generation.engines.diffusion.memory import plan_called

Config = dict[str, Any]

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
WAN_VAE_TINY: Config = {"base_dim": 3, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1}


@dataclass(frozen=True, slots=True)
class Spec:
    """A model as the benchmark runs it. `clip_steps` are those of a published clip; only some are measured."""

    name: str
    width: int
    height: int
    frames: int
    fps: int
    guidance: float
    clip_steps: int
    tokens: int
    """Of the words, and `token_width` numbers each."""
    token_width: int
    make: Callable[[Spec], Any]
    denoiser: Config
    vae: Config = field(default_factory=dict)
    mode: str = "t2v"
    masked: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict)


def part(name: str, config: Config, dtype: torch.dtype) -> Any:
    """A model of the class `name` on the current device, in `dtype` but for what its class keeps in fp32."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        model = getattr(diffusers, name)(**config).eval().requires_grad_(False)
    finally:
        torch.set_default_dtype(before)
    kept = getattr(model, "_keep_in_fp32_modules", None) or []
    for at, weights in model.named_parameters():
        if any(piece in kept for piece in at.split(".")):
            weights.data = weights.data.float()
    return model


@contextmanager
def made_on(device: torch.device) -> Iterator[None]:
    """While this is open, models are made on the device, the same ones each time."""
    torch.manual_seed(0)
    with torch.device(device):
        yield


def ltx(spec: Spec) -> Any:
    dtype = torch.bfloat16
    transformer = part("LTXVideoTransformer3DModel", spec.denoiser, dtype)
    vae = part("AutoencoderKLLTXVideo", spec.vae, dtype)
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
    return diffusers.LTXConditionPipeline(scheduler, vae, None, None, transformer)


def cogvideox(spec: Spec) -> Any:
    scheduler = diffusers.CogVideoXDPMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type="v_prediction",
        rescale_betas_zero_snr=True, snr_shift_scale=1.0, timestep_spacing="trailing",
    )  # fmt: skip
    return diffusers.CogVideoXImageToVideoPipeline(
        tokenizer=None,
        text_encoder=None,
        vae=part("AutoencoderKLCogVideoX", spec.vae, torch.bfloat16),
        transformer=part("CogVideoXTransformer3DModel", spec.denoiser, torch.bfloat16),
        scheduler=scheduler,
    )


def wan(spec: Spec) -> Any:
    """Both experts; each is used for half of the steps, whatever their number."""
    high, low = (part("WanTransformer3DModel", spec.denoiser, torch.bfloat16) for _ in range(2))
    return diffusers.WanImageToVideoPipeline(
        tokenizer=None,
        text_encoder=None,
        vae=part("AutoencoderKLWan", spec.vae, torch.float32),
        scheduler=diffusers.UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0
        ),
        transformer=high,
        transformer_2=low,
        boundary_ratio=0.9,
    )


def words(spec: Spec, device: torch.device) -> dict[str, torch.Tensor]:
    """What a text encoder would have made of a prompt and a negative prompt."""
    generator = torch.Generator("cpu").manual_seed(1)
    shape = (1, spec.tokens, spec.token_width)
    made = {
        name: torch.randn(shape, generator=generator).to(device, torch.bfloat16)
        for name in ("prompt_embeds", "negative_prompt_embeds")
    }
    if spec.masked:
        ones = torch.ones(1, spec.tokens, dtype=torch.int64, device=device)
        made |= {"prompt_attention_mask": ones, "negative_prompt_attention_mask": ones}
    return made


def picture(spec: Spec) -> Image.Image:
    return Image.effect_noise((spec.width, spec.height), 60).convert("RGB")


class RandomEngine(DiffusionEngine):
    """The engine of every family, around a pipeline with random weights. Keeps the latents it decoded last."""

    name: ClassVar[str] = "random"
    version: ClassVar[str] = "1"

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.latents: torch.Tensor | None = None

    def served_modes(self) -> frozenset[str]:
        return frozenset({"t2v", "i2v"})

    def load_pipeline(self, setup: EngineSetup) -> Any:
        with made_on(self.device):
            pipe = self.spec.make(self.spec)
        if plan_called(setup.memory_plan).streams_blocks:  # from main memory, as with weights from files
            for part in pipe.components.values():
                if isinstance(part, torch.nn.Module):
                    part.to("cpu")
        pipe.set_progress_bar_config(disable=True)
        decode = pipe.vae.decode

        def decode_and_keep(latents: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            self.latents = latents.detach().float().cpu()
            return decode(latents, *args, **kwargs)

        pipe.vae.decode = decode_and_keep
        return pipe

    def encode(self, request: EngineRequest, pictures: Pictures) -> dict[str, Any]:
        return dict(words(self.spec, self.device))

    def arguments(self, request: EngineRequest, pictures: Pictures) -> dict[str, Any]:
        given = {"image": pictures.first} if pictures.first else {}
        return {
            "width": request.width, "height": request.height, "num_frames": request.frames,
            "num_inference_steps": request.steps, "guidance_scale": request.guidance, **given,
            **self.spec.arguments,
        }  # fmt: skip


LTX = Spec(
    "ltx-2b", 1280, 704, 97, 25, 3.0, 30, 256, 4096, ltx, LTX_2B, LTX_VAE, masked=True,
    arguments={"decode_timestep": 0.05, "decode_noise_scale": 0.025},
)  # fmt: skip
COGVIDEOX = Spec(
    "cogvideox-5b", 720, 480, 49, 8, 6.0, 50, 226, 4096, cogvideox, COGVIDEOX_5B, COGVIDEOX_VAE, mode="i2v"
)
WAN = Spec("wan-a14b", 832, 480, 81, 16, 3.5, 40, 512, 4096, wan, WAN_A14B, mode="i2v")
SPECS = {
    spec.name: spec
    for spec in (
        LTX,
        replace(LTX, name="ltx-13b", denoiser=LTX_13B),
        COGVIDEOX,
        WAN,
        replace(WAN, name="wan-a14b-720p", width=1280, height=720),
    )
}
"""Full sizes: for a GPU of 80 GB."""
TINY = {
    "ltx-2b": replace(
        LTX, width=32, height=32, frames=9, tokens=16, token_width=32, denoiser=LTX_TINY, vae=LTX_VAE_TINY
    ),
    "cogvideox-5b": replace(
        COGVIDEOX, width=32, height=32, frames=9, tokens=16, token_width=32, denoiser=COGVIDEOX_TINY,
        vae=COGVIDEOX_VAE_TINY,
    ),
    "wan-a14b": replace(
        WAN, width=32, height=32, frames=9, tokens=16, token_width=32, denoiser=WAN_TINY, vae=WAN_VAE_TINY
    ),
}  # fmt: skip
"""For any processor: whether the benchmark itself works."""
