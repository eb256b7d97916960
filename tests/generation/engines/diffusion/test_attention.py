"""Which attention is used. What a GPU is needed for, `bench.engines` looks at."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers.models.attention_dispatch import _AttentionBackendRegistry
from torch.nn.attention import SDPBackend, _cur_sdpa_kernel_backends

from generation.engines.base import Engine, EngineError, EngineRequest
from generation.engines.diffusion import attention
from generation.engines.diffusion.attention import Attention, choose
from tests.generation.engines.diffusion.denoisers import denoisers

CPU = torch.device("cpu")


class FlashAttention3:
    """Stands for the wheel: the same function, by PyTorch's attention; counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def flash_attn_func(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, softmax_scale: float, causal: bool
    ) -> torch.Tensor:
        self.calls += 1
        swapped = (part.transpose(1, 2) for part in (q, k, v))
        out = torch.nn.functional.scaled_dot_product_attention(*swapped, is_causal=causal, scale=softmax_scale)
        return out.transpose(1, 2).contiguous()


@pytest.fixture
def flash_3(monkeypatch: pytest.MonkeyPatch) -> FlashAttention3:
    wheel = FlashAttention3()
    monkeypatch.setitem(sys.modules, "fa3_fwd_interface", SimpleNamespace(flash_attn_func=wheel.flash_attn_func))
    monkeypatch.setattr(_AttentionBackendRegistry, "_backends", dict(_AttentionBackendRegistry._backends))
    return wheel


def test_on_the_cpu_it_is_pytorchs_own(tiny_ltx: tuple[Engine, EngineRequest]) -> None:
    engine, _ = tiny_ltx
    assert choose(CPU, engine.pipe.transformer) == Attention()  # type: ignore[attr-defined]
    assert engine._reckons_by()["attention"] == "native"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("wish", "says"), [("fast", "must be one of fa3, native, cudnn, flash, but is 'fast'"), ("fa3", "Hopper")]
)
def test_a_wish_that_cannot_be_had_is_refused(wish: str, says: str) -> None:
    with pytest.raises(EngineError, match=says) as caught:
        choose(CPU, None, wish)
    assert caught.value.blame == "machine"


def test_a_wish_sets_the_order_of_pytorchs_kernels_for_a_while() -> None:
    before = _cur_sdpa_kernel_backends(with_priority=True)
    with choose(CPU, None, "cudnn").preferred():
        assert _cur_sdpa_kernel_backends(with_priority=True)[0] == SDPBackend.CUDNN_ATTENTION
        parts = [torch.randn(1, 2, 5, 8) for _ in range(3)]
        torch.nn.functional.scaled_dot_product_attention(*parts)  # what cuDNN cannot do, the next one does
    assert _cur_sdpa_kernel_backends(with_priority=True) == before


@torch.inference_mode()
def test_flash_attention_3_takes_calls_without_a_mask_and_native_the_others(flash_3: FlashAttention3) -> None:
    denoiser, inputs = denoisers()["LTXVideoTransformer3DModel"]
    denoiser.to(torch.bfloat16)
    inputs = {
        name: value.bfloat16() if isinstance(value, torch.Tensor) and value.is_floating_point() else value
        for name, value in inputs.items()
    }
    exact = denoiser(**inputs, return_dict=False)[0]
    assert Attention(flash_3=True, order="cudnn").apply([denoiser]) == "fa3+cudnn"
    made = denoiser(**inputs, return_dict=False)[0]
    assert flash_3.calls == len(denoiser.transformer_blocks), "once a block: the words have a mask"
    torch.testing.assert_close(made, exact)


@torch.inference_mode()
def test_flash_attention_3_leaves_other_precisions_to_native(flash_3: FlashAttention3) -> None:
    denoiser, inputs = denoisers()["WanTransformer3DModel"]
    exact = denoiser(**inputs, return_dict=False)[0]
    Attention(flash_3=True).apply([denoiser])
    assert torch.equal(denoiser(**inputs, return_dict=False)[0], exact)
    assert flash_3.calls == 0


def test_models_that_call_pytorch_themselves_are_told_of_as_they_are(flash_3: FlashAttention3) -> None:
    denoiser, _ = denoisers()["CogVideoXTransformer3DModel"]
    assert Attention(flash_3=True, order="cudnn").apply([denoiser]) == "cudnn"


def test_to_torch_compile_it_is_one_operation(flash_3: FlashAttention3) -> None:
    parts = [torch.randn(1, 5, 2, 8) for _ in range(3)]
    torch.library.opcheck(
        attention.flash_attention_3, (*parts, 0.5, False), test_utils=("test_schema", "test_faketensor")
    )


def test_a_kernel_less_preferred_must_be_clearly_faster() -> None:
    assert attention._best({"fa3": 1.0, "cudnn": 0.9, "native": 2.0}) == "fa3"
    assert attention._best({"fa3": 1.0, "cudnn": 0.8, "native": 2.0}) == "cudnn"
    assert attention._best({}) == "native"


def test_the_probe_finds_a_wrong_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    assert attention._error("native", CPU, 2, 16) < attention.LARGEST_ERROR
    right = attention._attend

    def wrong(name: str, *parts: torch.Tensor) -> Any:
        return right(name, *parts) * 1.02

    monkeypatch.setattr(attention, "_attend", wrong)
    assert attention._error("native", CPU, 2, 16) > attention.LARGEST_ERROR
