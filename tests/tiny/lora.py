"""LoRA files for tiny models: real safetensors, random factors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file


def factors(
    part: Any, seed: int, *, rank: int = 4, layers: tuple[str, ...] = ("to_q", "to_k", "to_v"), wider: int = 0
) -> dict[str, torch.Tensor]:
    """LAYER.lora_A.weight and .lora_B.weight for all linear layers whose last name is one of `layers`.

    `wider` makes them for layers that take so many values more.
    """
    generator = torch.Generator().manual_seed(seed)
    made = {}
    for name, layer in part.named_modules():
        if isinstance(layer, torch.nn.Linear) and name.rpartition(".")[2] in layers:
            made[f"{name}.lora_A.weight"] = torch.randn(rank, layer.in_features + wider, generator=generator)
            made[f"{name}.lora_B.weight"] = torch.randn(layer.out_features, rank, generator=generator)
    return made


def write(
    file: Path,
    tensors: Mapping[str, torch.Tensor],
    *,
    prefix: str = "transformer.",
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write factors under names with a prefix."""
    save_file({f"{prefix}{name}": tensor for name, tensor in tensors.items()}, file, metadata)
    return file
