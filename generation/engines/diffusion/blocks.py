"""The repeated blocks of a denoiser: nearly all of its weights and of its time."""

from __future__ import annotations

import torch

LISTS = (
    "blocks",
    "transformer_blocks",
    "single_transformer_blocks",
    "temporal_transformer_blocks",
    "resnets",
)
"""What models call their lists of blocks. Classes name their block classes themselves, but some forget a few."""


def repeated_blocks(denoiser: torch.nn.Module) -> list[tuple[str, torch.nn.Module]]:
    """Name and module of each block, in the order of the model; a block within a block is not one of its own."""
    found: list[tuple[str, torch.nn.Module]] = []
    for name, module in denoiser.named_modules():
        if name.rpartition(".")[2] not in LISTS or not isinstance(module, torch.nn.ModuleList):
            continue
        if not any(name.startswith(f"{block}.") for block, _ in found):
            found += [(f"{name}.{index}", block) for index, block in enumerate(module)]
    return found
