"""Weights in 8 bits, as far as a CPU can have them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torchao.quantization.quant_api
from diffusers import UNetSpatioTemporalConditionModel

from generation.engines.diffusion.blocks import repeated_blocks
from generation.engines.diffusion.quantise import quantise, quantise_dynamically
from tests.generation.engines.cases import ltx
from tests.generation.engines.diffusion.denoisers import denoisers
from tests.generation.engines.recording import Recorder, generate, run

CPU = torch.device("cpu")
SPARED_IN_BLOCKS = {"CogVideoXTransformer3DModel": 4, "HunyuanVideoTransformer3DModel": 6}
"""The linear layers in their norms, which are modulated by the time."""


def linear(denoiser: torch.nn.Module) -> dict[str, torch.nn.Linear]:
    return {name: part for name, part in denoiser.named_modules() if isinstance(part, torch.nn.Linear)}


@pytest.mark.parametrize("name", sorted(denoisers()))
@torch.inference_mode()
def test_layerwise_holds_the_blocks_in_8_bits_and_nothing_else(name: str) -> None:
    denoiser, inputs = denoisers()[name]
    exact = denoiser(**inputs, return_dict=False)[0]
    assert quantise([denoiser, None], CPU) == "layerwise"
    held = {at for at, layer in linear(denoiser).items() if layer.weight.dtype == torch.float8_e4m3fn}
    blocks = tuple(f"{at}." for at, _ in repeated_blocks(denoiser))
    inside = {at for at in linear(denoiser) if at.startswith(blocks)}
    assert held <= inside
    assert len(inside - held) == SPARED_IN_BLOCKS.get(name, 0)
    made = denoiser(**inputs, return_dict=False)[0]
    assert 0 < (made - exact).norm() / exact.norm() < 0.2


def test_layerwise_takes_svds_unet() -> None:
    unet = UNetSpatioTemporalConditionModel(
        block_out_channels=(32, 64), layers_per_block=1, sample_size=32, in_channels=8, out_channels=4,
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"), cross_attention_dim=32,
        num_attention_heads=8, projection_class_embeddings_input_dim=96, addition_time_embed_dim=32,
    )  # fmt: skip
    quantise([unet], CPU)
    with torch.inference_mode():
        made = unet(
            torch.randn(1, 2, 8, 16, 16), torch.tensor(1.0), torch.randn(1, 1, 32), torch.ones(1, 3)
        ).sample
    assert made.isfinite().all()
    assert unet.conv_in.weight.dtype == unet.time_embedding.linear_1.weight.dtype == torch.float32
    assert unet.down_blocks[0].attentions[0].transformer_blocks[0].attn1.to_q.weight.dtype == torch.float8_e4m3fn


@torch.inference_mode()
def test_dynamic_quantises_the_blocks_and_spares_norms_and_odd_widths(monkeypatch: pytest.MonkeyPatch) -> None:
    # torchao asks for a GPU with fp8; PyTorch reckons the same on the CPU, slowly.
    monkeypatch.setattr(torchao.quantization.quant_api, "_check_hardware_support", lambda granularity: None)
    denoiser, inputs = denoisers()["LTXVideoTransformer3DModel"]
    denoiser.to(torch.bfloat16)
    inputs = {
        name: value.bfloat16() if isinstance(value, torch.Tensor) and value.is_floating_point() else value
        for name, value in inputs.items()
    }
    exact = denoiser(**inputs, return_dict=False)[0]
    blocks = repeated_blocks(denoiser)
    blocks[0][1].attn1.to_q = torch.nn.Linear(32, 31, dtype=torch.bfloat16)
    blocks[0][1].norm_out = torch.nn.Linear(32, 32, dtype=torch.bfloat16)
    odd = blocks[0][1].attn1.to_q
    for _, block in blocks:
        quantise_dynamically(block, CPU)
    assert type(odd.weight) is type(blocks[0][1].norm_out.weight) is torch.nn.Parameter
    assert type(blocks[1][1].attn1.to_q.weight).__name__ == "Float8Tensor"
    assert type(denoiser.proj_out.weight) is torch.nn.Parameter
    blocks[0][1].attn1.to_q = blocks[1][1].attn1.to_q
    made = denoiser(**inputs, return_dict=False)[0]
    assert 0 < (made - exact).norm() / exact.norm() < 0.5


def test_a_clip_under_fp8_is_a_little_off_and_says_so() -> None:
    case = ltx()
    engine = case.engine()
    engine.load(case.setup)
    exact = run(engine, case.request)
    request = replace(case.request, memory_plan="fp8")
    recorder = Recorder(request)
    recipe = generate(engine, request, recorder)
    assert recipe["quantised"] == "layerwise"
    off = np.abs(np.array(recorder.frames, float) - np.array(exact, float)).mean()
    assert 0 < off < 20
    assert np.array_equal(run(engine, request), recorder.frames)
    engine.unload()
