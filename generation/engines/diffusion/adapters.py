"""LoRA adapters on a pipeline: changed between two requests, while the model's own weights stay where they are.

An adapter's layers stand around the model's linear layers (peft calls it injecting). What an earlier request used
is taken out again, so that a pipeline without adapters is the very one that was loaded: the same modules, the same
frames, and whatever was compiled of it still fits. Layers that were taken out are kept in main memory for a while.
"""

from __future__ import annotations

import logging
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch

from generation.engines.base import KEPT_ADAPTERS_MIB, AdapterUse, EngineError
from generation.engines.diffusion.adapter_files import Factors, digest_of, read_factors
from generation.engines.diffusion.compiling import is_compiled
from generation.engines.diffusion.memory import plan_called

log = logging.getLogger(__name__)

KEPT_BYTES = KEPT_ADAPTERS_MIB * 2**20
"""Layers that are kept in main memory for when they are used again: a pair for Wan 2.2 has 1.2 GiB in bf16."""
RANKS = (16, 32, 64, 128, 256)
"""Compiled blocks take these, and larger ones as they are: to them, adapters of ranks 20 and 32 are alike."""

Place: TypeAlias = tuple[str, str]
"""Where a layer stands: the part of the pipeline, and the layer's name in it."""
Layers: TypeAlias = dict[Place, torch.nn.Module]
"""peft's layers, each with the model's own in it."""
Key: TypeAlias = tuple[tuple[str, str], ...]
"""The adapters that act together, in order: the digests of each one's files."""


class Adapters:
    """The adapters of one pipeline, arranged under a memory plan. `dtype` is what it reckons in."""

    def __init__(self, pipe: Any, dtype: torch.dtype, memory_plan: str) -> None:
        self._pipe, self._dtype, self._plan = pipe, dtype, memory_plan
        # Blocks that come and go hold on to the layers that they were set up with; diffusers sets them up anew
        # when an adapter is loaded, but not when layers are put back.
        self._keeps = not plan_called(memory_plan).streams_blocks
        # peft does it with the first adapter, and what was compiled before would not fit any more.
        for part in _parts(pipe).values():
            part.requires_grad_(False)
        self._key: Key = ()
        self._layers: Layers = {}
        self._kept: OrderedDict[Key, Layers] = OrderedDict()

    def use(self, wanted: Sequence[AdapterUse]) -> list[dict[str, Any]]:
        """Have the pipeline use just these adapters; returns what a recipe must know of them.

        Raises `EngineError`: `adapter_unfit` and `adapters_unsupported` (user: the same fails anywhere), or
        `adapter_missing` (machine). The pipeline has no adapters then.
        """
        try:
            facts = [_facts_of(use) for use in wanted]
            acting = [use for use in wanted if use.strength]
            key = tuple((fact["sha256"], fact["low_noise_sha256"]) for fact in facts if fact["strength"])
            if key != self._key:
                self._take_out()
                self._put_in(key, acting)
            if key:
                self._set_strengths([use.strength for use in acting])
        except BaseException:
            self._take_out(keep=False)
            raise
        return facts

    # --- In and out -----------------------------------------------------------------------------------------

    def _put_in(self, key: Key, acting: Sequence[AdapterUse]) -> None:
        kept = self._kept.pop(key, None)
        if kept:
            for (part, name), layer in kept.items():
                _move(layer, layer.base_layer.weight.device)
                parent, _, child = name.rpartition(".")
                setattr(getattr(self._pipe, part).get_submodule(parent), child, layer)
            self._layers = kept
        else:
            for index, use in enumerate(acting):
                self._inject(use, f"adapter_{index}")
            self._layers = dict(self._injected())
        self._key = key

    def _take_out(self, *, keep: bool = True) -> None:
        for part in _parts(self._pipe).values():
            part.unload_lora()
        if keep and self._keeps and self._key:
            for layer in self._layers.values():
                _move(layer, torch.device("cpu"))
            self._kept[self._key] = self._layers
            while sum(map(_bytes_of, self._kept.values())) > KEPT_BYTES:
                self._kept.popitem(last=False)
        self._key, self._layers = (), {}

    def _injected(self) -> Iterator[tuple[Place, torch.nn.Module]]:
        from peft.tuners.lora import LoraLayer  # peft takes a second to import, and most jobs need none

        for name, part in _parts(self._pipe).items():
            for layer_name, layer in part.named_modules():
                if isinstance(layer, LoraLayer):
                    yield (name, layer_name), layer

    def _set_strengths(self, strengths: list[float]) -> None:
        names = [f"adapter_{index}" for index in range(len(strengths))]
        for name in {part for part, _ in self._layers}:
            part = getattr(self._pipe, name)
            part.set_adapters(names, strengths)
            if is_compiled(part):
                _spare_compiling(part, (layer for place, layer in self._layers.items() if place[0] == name))

    # --- From a file into the model -------------------------------------------------------------------------

    def _inject(self, use: AdapterUse, name: str) -> None:
        if not hasattr(self._pipe, "lora_state_dict"):
            raise EngineError(
                "adapters_unsupported", f"this model takes no adapters, but the job uses {use.name}", "user"
            )
        self._inject_file(use.name, name, use.file, {})
        if use.low_noise_file:
            if getattr(self._pipe, "transformer_2", None) is None:
                raise self._unfit(use.name, "it has a file for a second expert, and the model has none")
            self._inject_file(use.name, name, use.low_noise_file, {"transformer": "transformer_2"})

    def _inject_file(self, label: str, name: str, file: Path, instead: Mapping[str, str]) -> None:
        """`instead` leads what the file has for a part of the pipeline to another one."""
        try:
            by_part = read_factors(type(self._pipe), file)
            fitting = 0
            for prefix, factors in by_part.items():
                part = _parts(self._pipe).get(instead.get(prefix, prefix))
                if part is not None:
                    fitting += self._inject_factors(part, name, factors)
        except (torch.OutOfMemoryError, torch.AcceleratorError):
            raise
        except (OSError, ValueError, RuntimeError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise self._unfit(label, str(error)) from error
        found = sum(len(factors.layers) for factors in by_part.values())
        if not fitting:
            raise self._unfit(label, f"none of the {found} layers in {file.name} is one of the model's")
        if fitting < found:
            log.warning("the adapter %s: %d of its %d layers are not the model's", label, found - fitting, found)

    def _inject_factors(self, part: Any, name: str, factors: Factors) -> int:
        """Returns the number of layers. Raises ValueError where widths differ, and whatever peft raises."""
        modules = dict(part.named_modules())
        fitting = factors.of_layers(lambda layer: layer in modules)
        if not fitting.layers:
            return 0
        for layer in fitting.layers:
            fitting.check_width(layer, modules[layer])
        with warnings.catch_warnings(action="ignore"):  # that there are several adapters is what is wanted
            part.load_lora_adapter(
                dict(fitting.tensors),
                prefix=None,
                adapter_name=name,
                metadata=fitting.settings,
                low_cpu_mem_usage=True,  # no weights are made up only to be written over
                _pipeline=self._pipe,
            )
        for key, tensor in fitting.tensors.items():
            layer, _, factor = key.partition(".lora_")
            which, _, kind = factor.partition(".")
            module = getattr(part.get_submodule(layer), f"lora_{which}")[name]
            held = getattr(module, kind)
            if held.dtype.itemsize == 1:  # peft has them as the layer's weights are: in eight bits
                held.data = tensor.to(held.device, self._dtype)
        lacking = [key for key, held in part.named_parameters() if held.device.type == "meta"]
        if lacking:
            raise ValueError(f"it has no values for {len(lacking)} of its own weights, such as {lacking[0]}")
        return len(fitting.layers)

    def _unfit(self, name: str, reason: str) -> EngineError:
        """The error for an adapter that the model cannot use: it fails anywhere, so there is no retry."""
        under = f" under the memory plan {self._plan}" if self._plan else ""
        return EngineError("adapter_unfit", f"the adapter {name} does not fit the model{under}: {reason}", "user")


def _facts_of(use: AdapterUse) -> dict[str, Any]:
    try:
        low_noise = digest_of(use.low_noise_file) if use.low_noise_file else ""
        digest = digest_of(use.file)
    except OSError as error:
        message = f"the file of the adapter {use.name} cannot be read: {error}"
        raise EngineError("adapter_missing", message, "machine") from error
    return {"name": use.name, "strength": use.strength, "sha256": digest, "low_noise_sha256": low_noise}


def _parts(pipe: Any) -> dict[str, Any]:
    """The parts of a pipeline that can have adapters."""
    return {name: part for name, part in pipe.components.items() if hasattr(part, "load_lora_adapter")}


def _own_parts(layer: torch.nn.Module) -> Iterator[torch.nn.Module]:
    """What is the adapter's in one of peft's layers: everything but the model's own layer."""
    return (child for name, child in layer.named_children() if name != "base_layer")


def _move(layer: torch.nn.Module, device: torch.device) -> None:
    for part in _own_parts(layer):
        part.to(device)


def _bytes_of(layers: Layers) -> int:
    return sum(
        weight.nbytes for layer in layers.values() for part in _own_parts(layer) for weight in part.parameters()
    )


def _spare_compiling(part: torch.nn.Module, layers: Iterable[Any]) -> None:
    """Have compiled blocks see no difference between strengths, and little between ranks.

    Strengths become tensors, and factors are padded with zeros. What an adapter changes about the blocks (which
    layers have one) is compiled once for every such set; diffusers' own hot swap would refuse other sets.
    """
    from peft.utils.hotswap import prepare_model_for_compiled_hotswap  # see `_injected`

    highest = max(max(layer.r.values()) for layer in layers)
    rank = next((known for known in RANKS if highest <= known), highest)
    prepare_model_for_compiled_hotswap(part, target_rank=rank, check_compiled="ignore")
