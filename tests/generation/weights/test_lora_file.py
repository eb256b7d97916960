"""What a LoRA's header tells, and what is no LoRA."""

from __future__ import annotations

import io
import json
import pickle

import pytest

from generation.weights.lora_file import LoraFacts, NotALora, inspect
from tests.generation.lora import PAIR, content, framed


def look(data: bytes) -> LoraFacts:
    return inspect(io.BytesIO(data), len(data))


def test_layers_ranks_and_types() -> None:
    shapes = {**PAIR, "diffusion_model.x.lora_down.weight": [16, 8], "diffusion_model.x.lora_up.weight": [8, 16]}
    facts = look(content(shapes))
    assert facts == LoraFacts(2, (4, 16), ("F32",))
    assert str(facts) == "2 layers, ranks 4 to 16, F32"
    assert str(look(content())) == "1 layer, rank 4, F32"


FAULTS = {
    "a PyTorch pickle": (pickle.dumps({"a": 1}), "pickle, which can run code"),
    "a PyTorch archive": (b"PK\x03\x04" + b"\0" * 100, "pickle, which can run code"),
    "nothing": (b"", "no safetensors file"),
    "text": (b"once upon a time there was a LoRA", "no safetensors file"),
    "a header as long as it likes": ((2**63).to_bytes(8, "little") + b"{}", "no safetensors file"),
    "no JSON": (framed(b"{nothing}"), "header is no JSON"),
    "no text": (framed(b"\xff\xfe\xff"), "header is no JSON"),
    "deep JSON": (framed(b"[" * 200_000), "header is no JSON"),
    "a list": (framed(b"[1, 2]"), "no table of tensors"),
    "cut off": (content()[:-1], "is it cut off"),
    "too long": (content() + b"\0", "is it cut off"),
    "no tensors": (framed(b"{}"), "in pairs"),
    "other weights": (content({"blocks.0.weight": [4, 4]}), "in pairs"),
    "one factor": (content({"x.lora_A.weight": [4, 8]}), "1 and 0 of them"),
    "a DoRA": (content({**PAIR, "transformer.blocks.0.dora_scale": [4]}), "is a DoRA"),
    "a LoKr": (content({"x.lokr_w1": [4, 4]}), "is a LoKr"),
    "a wrong shape": (content(shape=[5, 8]), "is wrong"),
    "a negative shape": (content(shape=[-4, -8]), "is wrong"),
    "a shape of words": (content(shape=["4", 8]), "is wrong"),
    "a shape of truths": (content(shape=[True, 32]), "is wrong"),
    "an unknown type": (content(dtype="F1"), "is wrong"),
    "a type of its own": (content(dtype=[]), "is wrong"),
    "offsets outside": (content(data_offsets=[2**40, 2**40 + 128]), "is it cut off"),
    "an entry that is none": (framed(json.dumps({"x.lora_A.weight": 7}).encode()), "is wrong"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_lora_is_refused_with_the_reason(fault: str) -> None:
    data, words = FAULTS[fault]
    with pytest.raises(NotALora, match=words):
        look(data)
