"""Whether a file is a LoRA in safetensors, told from its header alone: 8 bytes of length, JSON, then the numbers.

The layout: https://github.com/huggingface/safetensors#format. Nothing is believed that the file's size does not
bear out, and no number is read.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any, BinaryIO

LARGEST_HEADER = 16 * 2**20
"""Bytes. A LoRA for 400 layers has some 80 kB."""
BITS = {
    "F64": 64, "I64": 64, "U64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16, "I16": 16, "U16": 16,
    "F8_E4M3": 8, "F8_E5M2": 8, "I8": 8, "U8": 8, "BOOL": 8,
}  # fmt: skip
DOWN, UP = (".lora_A.", ".lora_down.", ".lora.down."), (".lora_B.", ".lora_up.", ".lora.up.")
PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
OTHERS = {"dora_scale": "DoRA", "lora_magnitude_vector": "DoRA", "lokr_": "LoKr", "hada_": "LoHa", "oft_": "OFT"}
"""What gives other kinds of adapters away."""


class NotALora(ValueError):
    """The file is no LoRA that engines can use; the message says what it is or lacks."""


@dataclass(frozen=True, slots=True)
class LoraFacts:
    """What a LoRA is made of: layers that it changes, their ranks from the lowest up, and types of numbers."""

    layers: int
    ranks: tuple[int, ...]
    types: tuple[str, ...]

    def __str__(self) -> str:
        ranks = f"rank {self.ranks[0]}" if len(self.ranks) == 1 else f"ranks {self.ranks[0]} to {self.ranks[-1]}"
        layers = "1 layer" if self.layers == 1 else f"{self.layers} layers"
        return f"{layers}, {ranks}, {' and '.join(self.types)}"


def inspect(source: BinaryIO, size: int) -> LoraFacts:
    """What the file of `size` bytes is. Raises `NotALora`, and OSError."""
    header = _header(source, size)
    for sign, kind in OTHERS.items():
        if any(sign in name for name in header):
            raise NotALora(f"it must be a LoRA, but is a {kind}")
    down = [name for name in header if any(part in name for part in DOWN) and not name.endswith(".bias")]
    up = [name for name in header if any(part in name for part in UP) and not name.endswith(".bias")]
    if not down or len(down) != len(up):
        raise NotALora(
            "it must have LoRA factors in pairs (lora_A and lora_B, or lora_down and lora_up), "
            f"but has {len(down)} and {len(up)} of them"
        )
    ranks = [header[name]["shape"][0] for name in down]
    types = Counter(header[name]["dtype"] for name in (*down, *up))
    return LoraFacts(len(down), tuple(sorted(set(ranks))), tuple(sorted(types)))


def _header(source: BinaryIO, size: int) -> dict[str, Any]:
    """The tensors' entries by name, every one of them checked."""
    source.seek(0)
    start = source.read(8)
    if start.startswith(PICKLES):
        raise NotALora("it is a PyTorch pickle, which can run code when it is opened; convert it to safetensors")
    length = int.from_bytes(start, "little")
    if len(start) < 8 or not 2 <= length <= min(LARGEST_HEADER, size - 8):
        raise NotALora("it is no safetensors file: its beginning does not say how long the header is")
    try:
        header = json.loads(source.read(length).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise NotALora("it is no safetensors file: its header is no JSON") from error
    if not isinstance(header, dict):
        raise NotALora("it is no safetensors file: its header is no table of tensors")
    header.pop("__metadata__", None)
    spans = sorted(_span(name, entry) for name, entry in header.items())
    whole = [(0, 0), *spans, (size - 8 - length, 0)]
    if any(before[1] != after[0] for before, after in pairwise(whole)):
        raise NotALora(
            f"it is no sound safetensors file: its tensors do not fill its {size} bytes; is it cut off?"
        )
    return header


def _span(name: str, entry: Any) -> tuple[int, int]:
    """Where a tensor lies, which must be as many bytes as its shape and type take."""
    try:
        shape, (begin, end), bits = entry["shape"], entry["data_offsets"], BITS[entry["dtype"]]
        whole = all(type(number) is int and number >= 0 for number in (*shape, begin, end))
        if whole and end - begin == prod(shape) * bits // 8:
            return begin, end
    except (KeyError, TypeError, ValueError):
        pass
    raise NotALora(f"it is no sound safetensors file: the entry of {name[:80]!r} is wrong")
