"""Files with LoRA adapters, in the formats that diffusers knows, as factors by layer of the model."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

SETTINGS = ("r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora", "lora_bias")
"""What of an adapter's own settings counts. Others are for training; some would change the model's weights."""


@dataclass(frozen=True, slots=True)
class Factors:
    """What an adapter has for one part of a pipeline: LAYER.lora_A.weight, rank × in, and .lora_B., out × rank."""

    tensors: dict[str, torch.Tensor]
    settings: dict[str, Any] | None
    """The file's own; None where it has none, and the tensors tell."""

    @property
    def layers(self) -> list[str]:
        """The names of the layers, each once."""
        return list(dict.fromkeys(_layer_of(key) for key in self.tensors))

    def of_layers(self, wanted: Callable[[str], bool]) -> Factors:
        """Those of some layers."""
        tensors = {key: tensor for key, tensor in self.tensors.items() if wanted(_layer_of(key))}
        targets = {"target_modules": sorted({_layer_of(key) for key in tensors})}
        return replace(self, tensors=tensors, settings=self.settings and {**self.settings, **targets})

    def check_width(self, layer: str, module: Any) -> None:
        """Raises ValueError where the model's layer is of another width."""
        down, up = (self.tensors.get(f"{layer}.lora_{which}.weight") for which in "AB")
        if down is None or up is None:
            raise ValueError(f"{layer} must have both factors, but one is missing")
        if down.shape[0] != up.shape[1]:
            raise ValueError(
                f"{layer} must have factors of one rank, but they are {down.shape[0]} and {up.shape[1]}"
            )
        own = getattr(module, "in_features", None), getattr(module, "out_features", None)
        if None not in own and own != (down.shape[1], up.shape[0]):
            raise ValueError(
                f"{layer} takes {own[0]} values and gives {own[1]} in the model, "
                f"but {down.shape[1]} and {up.shape[0]} in the adapter"
            )


def read_factors(pipeline: type[Any], file: Path) -> dict[str, Factors]:
    """The file's factors by part of the pipeline, such as `transformer`.

    Raises OSError and ValueError, and whatever diffusers raises for formats that it cannot convert.
    """
    try:
        with safe_open(file, "pt") as opened:
            names = list(opened.keys())
        # Without `use_safetensors` diffusers would unpickle what is no safetensors file.
        state, metadata = pipeline.lora_state_dict(
            str(file), use_safetensors=True, local_files_only=True, return_lora_metadata=True
        )
    except SafetensorError as error:
        raise ValueError(f"{file.name} is no sound safetensors file: {error}") from error
    if any("dora_scale" in name or "lora_magnitude_vector" in name for name in names):
        raise ValueError(f"{file.name} is a DoRA, and its magnitudes are not supported")
    by_part: dict[str, dict[str, torch.Tensor]] = defaultdict(dict)
    for key, tensor in _in_peft_names(state).items():
        part, _, rest = key.partition(".")
        by_part[part][rest] = tensor
    return {part: Factors(tensors, _settings_of(part, metadata)) for part, tensors in by_part.items()}


def _in_peft_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`lora_down` and `lora_up` as `lora_A` and `lora_B`; the scale that `alpha` stands for, multiplied in."""
    named = {key.replace(".lora_down.", ".lora_A.").replace(".lora_up.", ".lora_B."): state[key] for key in state}
    for key in [key for key in named if key.endswith(".alpha")]:
        layer, alpha = key.removesuffix(".alpha"), float(named.pop(key))
        rank = named[f"{layer}.lora_A.weight"].shape[0]
        named[f"{layer}.lora_B.weight"] = named[f"{layer}.lora_B.weight"] * (alpha / rank)
    strange = sorted(key for key in named if ".lora_A." not in key and ".lora_B." not in key)
    if strange:
        raise ValueError(f"all of it must be factors of layers, but {strange[0]} is none ({len(strange)} in all)")
    return named


def _settings_of(part: str, metadata: dict[str, Any] | None) -> dict[str, Any] | None:
    told = metadata or {}
    return {name: told[f"{part}.{name}"] for name in SETTINGS if f"{part}.{name}" in told} or None


def _layer_of(key: str) -> str:
    return key.partition(".lora_")[0]


def digest_of(file: Path) -> str:
    """The sha256 of a file, reckoned once as long as it is not written to. Raises OSError."""
    status = file.stat()
    return _digest(file, status.st_size, status.st_mtime_ns)


@cache
def _digest(file: Path, size: int, changed: int) -> str:
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
