"""Safetensors files written by hand, so that tests need no torch."""

from __future__ import annotations

import json
from typing import Any

from generation.models import Adapter
from mutoscope.ids import new_id

PAIR = {
    "transformer.blocks.0.attn.to_q.lora_A.weight": [4, 8],
    "transformer.blocks.0.attn.to_q.lora_B.weight": [8, 4],
}


def content(shapes: dict[str, list[int]] = PAIR, *, fill: int = 0, **changes: Any) -> bytes:
    """A file of F32 tensors of these shapes; `changes` are put into the first one's entry."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        size = 4 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    header[next(iter(shapes))].update(changes)
    return framed(json.dumps(header).encode()) + bytes([fill]) * end


def framed(header: bytes) -> bytes:
    """The beginning of a file with this header."""
    return len(header).to_bytes(8, "little") + header


def from_hub(**changes: Any) -> Adapter:
    """An adapter from a hub, registered without anybody's check."""
    usual = {
        "name": f"a-{new_id().hex[:8]}", "models_allowed": ["tiny-ltx"], "huggingface": "studio/loras",
        "revision": "a" * 40, "hub_file": "grain.safetensors",
    }  # fmt: skip
    return Adapter.objects.create(**usual | changes)
