"""Adapters on what makes a model fast: compiled blocks, and weights that torchao has quantised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch._dynamo.testing import CompileCounter
from torchao.quantization import Float8WeightOnlyConfig, quantize_

from generation.engines.base import AdapterUse, EngineError, EngineRequest, EngineSetup
from generation.engines.ltx import LTXEngine
from tests.generation.engines.recording import run
from tests.tiny import lora, weights

REQUEST = EngineRequest(
    mode="t2v", prompt="a cat turns its head", width=32, height=32, frames=1, fps=8, seed=7, steps=2, guidance=3.0
)


@pytest.fixture
def engine() -> Iterator[LTXEngine]:
    engine = LTXEngine()
    options = {"max_sequence_length": 16}
    engine.load(
        EngineSetup("tiny-ltx", weights("tiny-ltx"), memory_plan="full", precision="bf16", options=options)
    )
    yield engine
    engine.unload()
    torch._dynamo.reset()


def using(file: Path, strength: float) -> EngineRequest:
    return replace(REQUEST, adapters=(AdapterUse(file.stem, file, strength),))


def test_compiled_blocks_are_compiled_once_for_adapters_of_the_same_layers(
    engine: LTXEngine, tmp_path: Path
) -> None:
    transformer = engine.pipe.transformer
    a, b, c = (
        lora.write(tmp_path / f"{name}.safetensors", lora.factors(transformer, seed, rank=rank, layers=layers))
        for seed, (name, rank, layers) in enumerate(
            [("a", 4, ("to_q", "to_k")), ("b", 12, ("to_q", "to_k")), ("c", 4, ("to_v",))]
        )
    )
    counter = CompileCounter()
    for block in transformer.transformer_blocks:
        block.forward = torch.compile(block.forward, backend=counter)

    def compiled_by(request: EngineRequest) -> tuple[int, Any]:
        before = counter.frame_count
        frames = run(engine, request)
        return counter.frame_count - before, frames

    once, bare = compiled_by(REQUEST)
    assert once == 1
    first, weak = compiled_by(using(a, 0.5))
    assert first == 1
    frames = {}
    for file, strength in ((a, 1.0), (b, 0.5), (b, -1.0), (a, 0.7)):
        count, frames[file, strength] = compiled_by(using(file, strength))
        assert count == 0, "another strength and another rank must not cost a compilation"
    assert compiled_by(using(c, 0.5))[0] == 1, "other layers do"
    for request, expected in ((REQUEST, bare), (using(a, 0.5), weak), (using(b, 0.5), frames[b, 0.5])):
        count, again = compiled_by(request)
        assert count == 0
        assert np.array_equal(again, expected)
    assert not np.array_equal(weak, bare)


def test_weights_quantised_by_torchao_take_adapters(engine: LTXEngine, tmp_path: Path) -> None:
    transformer = engine.pipe.transformer
    file = lora.write(tmp_path / "a.safetensors", lora.factors(transformer, 1))
    biased = lora.factors(transformer, 2)
    for name in [name for name in biased if "lora_B" in name]:
        biased[name.replace(".weight", ".bias")] = torch.ones(len(biased[name]))
    with_biases = lora.write(tmp_path / "biased.safetensors", biased)
    quantize_(
        transformer,
        Float8WeightOnlyConfig(),
        filter_fn=lambda part, name: isinstance(part, torch.nn.Linear) and "block" in name,
    )
    bare, acting = run(engine, REQUEST), run(engine, using(file, 0.7))
    assert not np.array_equal(acting, bare)
    with pytest.raises(EngineError, match=r"under the memory plan full: .* does not support lora_bias") as caught:
        run(engine, using(with_biases, 1.0))
    assert caught.value.code == "adapter_unfit"
    assert np.array_equal(run(engine, REQUEST), bare)
    assert np.array_equal(run(engine, using(file, 0.7)), acting)
