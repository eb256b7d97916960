"""From a folder of weights to a pipeline in main memory. Nothing here goes to the network."""

from __future__ import annotations

import inspect
import json
import logging
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from generation.engines.base import EngineError, EngineSetup

DTYPES = {
    "": torch.float32,
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "fp8": torch.bfloat16,  # what the layers that are not quantised reckon in
}


# The worker's log is for jobs. torchao tells of kernels for other GPUs that it does without.
for talkative in ("torchao", "torch.utils._pytree"):
    logging.getLogger(talkative).setLevel(logging.ERROR)
diffusers.utils.logging.set_verbosity_error()
diffusers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()


def folder_of(setup: EngineSetup) -> Path:
    """The folder with the weights. Raises `EngineError` (machine) where there is none."""
    folder = setup.weights
    if folder is None or not (folder / "model_index.json").is_file():
        raise EngineError(
            "weights_missing",
            f"{setup.model} needs its weights in {folder}, but there is no pipeline; "
            f"pull them with: manage.py models pull {setup.model}",
            "machine",
        )
    return folder


def pipeline_class(setup: EngineSetup, *known: type[Any]) -> type[Any]:
    """That one of the `known` classes which the weights were saved from. Raises `EngineError` (machine)."""
    folder = folder_of(setup)
    name = json.loads((folder / "model_index.json").read_text("utf-8"))["_class_name"]
    for kind in known:
        if kind.__name__ == name:
            return kind
    names = " or ".join(kind.__name__ for kind in known)
    raise EngineError(
        "weights_unreadable",
        f"the weights of {setup.model} must be of a {names}, but {folder} has a {name}",
        "machine",
    )


def load_pipeline(
    kind: type[Any],
    setup: EngineSetup,
    *,
    full_precision: tuple[str, ...] = (),
    half_precision: tuple[str, ...] = (),
    **parts: Any,
) -> Any:
    """The pipeline of class `kind`, in the setup's precision; the parts named in `full_precision` in fp32.

    Where the precision is bf16, the parts named in `half_precision` are in fp16: finer, and of a smaller range.

    `parts` take the place of what the folder has. Raises `EngineError` (machine) when the weights are missing or
    broken.
    """
    folder = folder_of(setup)
    dtype = DTYPES[setup.precision]
    dtypes = {"default": dtype, **dict.fromkeys(full_precision, torch.float32)}
    if dtype == torch.bfloat16:
        dtypes |= dict.fromkeys(half_precision, torch.float16)
    try:
        if setup.single_file:
            name, file = setup.single_file
            parts[name] = _single_part(kind, folder, name, file, dtypes.get(name, dtype))
        pipe = kind.from_pretrained(folder, dtype=dtypes, local_files_only=True, **parts)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise EngineError(
            "weights_unreadable",
            f"{setup.model} cannot be loaded from {folder}: {error}; "
            f"look with: manage.py models check {setup.model}",
            "machine",
        ) from error
    if setup.scheduler or setup.shift is not None:
        pipe.scheduler = scheduler_for(pipe.scheduler, setup)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def scheduler_for(present: Any, setup: EngineSetup) -> Any:
    """The catalog's scheduler with the catalog's shift, otherwise configured as the weights' own."""
    kind = getattr(diffusers, setup.scheduler) if setup.scheduler else type(present)
    config = dict(present.config)
    if setup.shift is not None:
        knows_flow = "flow_shift" in inspect.signature(kind.__init__).parameters
        config["flow_shift" if knows_flow else "shift"] = setup.shift
    return kind.from_config(config)


def _single_part(kind: type[Any], folder: Path, name: str, file: Path, dtype: torch.dtype) -> Any:
    """A part of the pipeline from one file; its configuration is the one that the folder's own part has."""
    index = json.loads((folder / "model_index.json").read_text("utf-8"))
    part = getattr(diffusers, index[name][1])
    own = {"config": str(folder), "subfolder": name, "local_files_only": True}
    return part.from_single_file(str(file), dtype=dtype, **own)
