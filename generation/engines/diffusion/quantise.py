"""Weights of linear layers in 8 bits: half the memory, and on GPUs with 8-bit arithmetic half the time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

EIGHT_BIT_ARITHMETIC = (8, 9)
"""The compute capability from which NVIDIA's GPUs multiply in fp8: Ada and Hopper."""


def quantise(modules: Iterable[Any], device: torch.device) -> str:
    """Hold the linear layers' weights in fp8 (e4m3); returns how.

    `dynamic`: torchao quantises activations row by row, too, and multiplies in 8 bits. `layerwise`, where the GPU
    cannot: weights are stored in 8 bits, and cast layer by layer as they are used.
    """
    dynamic = device.type == "cuda" and torch.cuda.get_device_capability(device) >= EIGHT_BIT_ARITHMETIC
    for module in modules:
        if module is None:
            continue
        if dynamic:
            _quantise_dynamically(module.to(device))
        else:
            module.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=module.dtype)
    return "dynamic" if dynamic else "layerwise"


def _quantise_dynamically(module: Any) -> None:
    from torchao.quantization import Float8DynamicActivationFloat8WeightConfig, PerRow, quantize_

    # torchao is imported here, not above: it takes seconds, and most workers never need it.
    quantize_(
        module,
        Float8DynamicActivationFloat8WeightConfig(granularity=PerRow()),
        filter_fn=lambda part, name: isinstance(part, torch.nn.Linear) and "block" in name,
    )
