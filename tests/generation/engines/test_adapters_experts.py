"""Adapters of pipelines with two experts: a file for each, and neither touches the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel

from generation.engines.base import AdapterUse, EngineError
from generation.engines.diffusion.adapters import Adapters
from tests.tiny import lora

EXPERTS = ("transformer", "transformer_2")


def expert(seed: int) -> Any:
    torch.manual_seed(seed)
    return WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=16, out_channels=16,
        text_dim=32, freq_dim=32, ffn_dim=32, num_layers=2, cross_attn_norm=True,
        qk_norm="rms_norm_across_heads", rope_max_seq_len=32,
    ).eval()  # fmt: skip


@pytest.fixture(scope="module")
def pipe() -> Any:
    """As much of Wan 2.2 as adapters have to do with."""
    scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True)
    others = {"tokenizer": None, "text_encoder": None, "vae": None}
    return WanPipeline(
        **others, scheduler=scheduler, transformer=expert(0), transformer_2=expert(1), boundary_ratio=0.875
    )


@pytest.fixture(scope="module")
def adapters(pipe: Any) -> Adapters:
    return Adapters(pipe, torch.float32, "full")


@pytest.fixture(scope="module")
def files(pipe: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("lora")
    made = {name: lora.factors(pipe.transformer, seed) for seed, name in enumerate(("high", "low", "other"))}
    return {name: lora.write(folder / f"{name}.safetensors", tensors) for name, tensors in made.items()}


def predicted(pipe: Any) -> dict[str, torch.Tensor]:
    """What each expert makes of the same latents."""
    generator = torch.Generator().manual_seed(3)
    latents = torch.randn(1, 16, 1, 4, 4, generator=generator)
    words = torch.randn(1, 8, 32, generator=generator)
    with torch.inference_mode():
        return {
            name: getattr(pipe, name)(latents, torch.tensor([500]), words, return_dict=False)[0]
            for name in EXPERTS
        }


def changed(pipe: Any, since: dict[str, torch.Tensor]) -> list[str]:
    """Which experts predict something else now."""
    now = predicted(pipe)
    return [name for name in EXPERTS if not torch.equal(now[name], since[name])]


def test_each_expert_has_its_own_file(pipe: Any, adapters: Adapters, files: dict[str, Path]) -> None:
    bare = predicted(pipe)
    high, low = files["high"], files["low"]
    adapters.use([AdapterUse("fast", high, low_noise_file=low)])
    pair = predicted(pipe)
    assert changed(pipe, bare) == list(EXPERTS)
    adapters.use([AdapterUse("fast", high, low_noise_file=files["other"])])
    assert changed(pipe, pair) == ["transformer_2"]
    adapters.use([AdapterUse("fast", high)])
    assert changed(pipe, bare) == ["transformer"]
    assert changed(pipe, pair) == ["transformer_2"]
    adapters.use([AdapterUse("fast", high, low_noise_file=low)])
    assert changed(pipe, pair) == []
    adapters.use([])
    assert changed(pipe, bare) == []


def test_a_pair_and_another_act_together(pipe: Any, adapters: Adapters, files: dict[str, Path]) -> None:
    pair = AdapterUse("fast", files["high"], low_noise_file=files["low"])
    facts = adapters.use([pair])
    assert facts[0]["sha256"] != facts[0]["low_noise_sha256"] != ""
    alone = predicted(pipe)
    adapters.use([pair, AdapterUse("grain", files["other"], 0.5)])
    assert changed(pipe, alone) == ["transformer"]
    adapters.use([pair])
    assert changed(pipe, alone) == []
    adapters.use([])


def test_a_low_noise_file_that_does_not_fit_leaves_both_bare(
    pipe: Any, adapters: Adapters, files: dict[str, Path], tmp_path: Path
) -> None:
    bare = predicted(pipe)
    wide = lora.write(tmp_path / "wide.safetensors", lora.factors(pipe.transformer, 1, wider=2))
    with pytest.raises(EngineError) as caught:
        adapters.use([AdapterUse("fast", files["high"], low_noise_file=wide)])
    assert (caught.value.code, caught.value.blame) == ("adapter_unfit", "user")
    assert changed(pipe, bare) == []


def test_the_authors_own_names_are_understood(
    pipe: Any, adapters: Adapters, files: dict[str, Path], tmp_path: Path
) -> None:
    """As the 4-step adapters of Wan 2.2 are published: other names of layers, lora_down and lora_up, alpha."""
    tensors = lora.factors(pipe.transformer, 0, layers=("to_q", "to_k"))
    adapters.use([AdapterUse("same", lora.write(tmp_path / "same.safetensors", tensors))])
    expected = predicted(pipe)
    own = {}
    for name, tensor in tensors.items():
        said = name.replace("attn1.", "self_attn.").replace("attn2.", "cross_attn.")
        said = (
            said.replace("to_q", "q")
            .replace("to_k", "k")
            .replace("lora_A", "lora_down")
            .replace("lora_B", "lora_up")
        )
        own[said] = tensor
        own[f"{said.partition('.lora_')[0]}.alpha"] = torch.tensor(4.0)  # the rank: as strong as without
    file = lora.write(tmp_path / "own.safetensors", own, prefix="diffusion_model.")
    adapters.use([AdapterUse("own", file)])
    assert changed(pipe, expected) == []
    adapters.use([])
