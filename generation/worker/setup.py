"""What a worker's engine is loaded with: weights, memory plan and the shape of what it will mostly be asked."""

from __future__ import annotations

import logging
from pathlib import Path

from django.conf import settings

from generation.catalog.schema import Model
from generation.engines.base import EngineRequest, EngineSetup
from generation.weights import folders, manifest
from generation.weights.errors import WeightsError

log = logging.getLogger(__name__)


def setup_of(model: Model, memory_plan: str) -> EngineSetup:
    """The setup for a model under one of its memory plans. Whether the weights are there, the engine finds out."""
    weights = folders.weights_folder(model)
    return EngineSetup(
        model=model.slug,
        weights=weights,
        revision=_revision(weights) if weights else "",
        single_file=folders.single_file(model),
        memory_plan=memory_plan,
        precision=model.precision(memory_plan),
        scheduler=model.sampling.scheduler if model.sampling else "",
        shift=model.sampling.shift if model.sampling else None,
        options={**settings.ENGINE_SWITCHES, **model.options},
        cache=Path(settings.ENGINE_CACHE),
        warm_up=_usual(model, memory_plan),
    )


def _revision(folder: Path) -> str:
    """The commit that was pulled into the folder; empty where it came by hand."""
    try:
        there = manifest.read(folder)
    except WeightsError as error:
        log.warning("%s", error)
        return ""
    return there.revision if there else ""


def _usual(model: Model, memory_plan: str) -> EngineRequest | None:
    """A request of the model's default size and length, with as few steps as it takes."""
    size = model.size(model.default_size)
    if size is None or model.sampling is None:
        return None
    width, height = model.canvas.around(size.width, size.height)
    fps = model.frames.fps[0]
    return EngineRequest(
        mode=str(model.modes[0]),
        prompt="warm up",
        negative_prompt=model.sampling.negative_prompt,
        width=width,
        height=height,
        frames=model.frames.count(model.frames.default_seconds, fps),
        fps=fps,
        seed=0,
        steps=2,
        guidance=model.sampling.guidance,
        memory_plan=memory_plan,
    )
