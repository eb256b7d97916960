"""The diffusion models that ship: whatever the catalog offers, their pipelines take."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest

from generation import catalog
from generation.catalog.fitting import plan_for
from generation.catalog.schema import Model
from generation.engines.process import make

SHIPPED = catalog.read([catalog.SHIPPED])
MODELS = [model for model in SHIPPED.values() if model.diffusion]


@dataclass(frozen=True)
class Takes:
    """What weights were made for: multiples of so many pixels; frames = multiple × k + 1, and how many at most."""

    pixels: int
    multiple: int
    most: int
    sides: tuple[int, int] = (1, 100_000)
    only: tuple[int, int] | None = None


RULES = {
    "ltx-video-2b": Takes(32, 8, 257),
    "ltx-video-2b-distilled": Takes(32, 8, 257),
    "ltx-video-13b": Takes(32, 8, 257),
    "ltx-video-13b-distilled": Takes(32, 8, 257),
    "wan2.2-i2v": Takes(16, 4, 81),
    "wan2.2-t2v": Takes(16, 4, 81),
    "wan2.2-ti2v-5b": Takes(32, 4, 121),
    "cogvideox-5b-i2v": Takes(16, 8, 49, only=(720, 480)),
    "cogvideox-5b-t2v": Takes(16, 8, 49),
    "cogvideox1.5-5b-i2v": Takes(16, 16, 161, sides=(768, 1360)),
    "cogvideox1.5-5b-t2v": Takes(16, 16, 161, sides=(768, 1360)),
    "svd-1.1": Takes(64, 24, 25),
    "hunyuanvideo-i2v": Takes(16, 4, 129),
    "hunyuanvideo-t2v": Takes(16, 4, 129),
    "hunyuanvideo-1.5-i2v": Takes(16, 4, 121),
    "hunyuanvideo-1.5-i2v-720p": Takes(16, 4, 121),
    "hunyuanvideo-1.5-i2v-fast": Takes(16, 4, 121),
    "hunyuanvideo-1.5-t2v": Takes(16, 4, 121),
    "ltx-2": Takes(32, 8, 257),
}
"""From the pipelines' code and the authors' pages; a new model joins with a line here."""


def by_slug(model: Model) -> str:
    return model.slug


@pytest.mark.parametrize("model", MODELS, ids=by_slug)
def test_every_size_and_length_on_offer_is_legal(model: Model) -> None:
    takes, frames = RULES[model.slug], model.frames
    for size in model.sizes:
        sides = model.canvas.around(size.width, size.height)
        assert all(side % takes.pixels == 0 for side in sides), size
        assert takes.sides[0] <= min(sides)
        assert max(sides) <= takes.sides[1]
        assert takes.only in (None, sides)
    lengths = [*np.arange(frames.min_seconds, frames.max_seconds, 0.25), frames.max_seconds]
    for seconds, fps in product(lengths, frames.fps):
        count = frames.count(float(seconds), fps)
        assert count % takes.multiple == 1
        assert 1 < count <= takes.most, f"{seconds} s at {fps} a second"


@pytest.mark.parametrize("model", MODELS, ids=by_slug)
def test_weights_are_pinned(model: Model) -> None:
    assert model.weights is not None
    assert model.weights.revision
    assert all(adapter.revision for adapter in model.adapters)
    assert model.weights.single_file is None or model.weights.single_file.revision
    used = {name for preset in model.presets for name in preset.adapters}
    assert used == {adapter.name for adapter in model.adapters}, "nothing is pulled in vain"


@pytest.mark.parametrize("model", MODELS, ids=by_slug)
def test_memory_is_told_for_every_size_and_plan(model: Model) -> None:
    told = [(need.size, need.plan) for need in model.memory]
    assert sorted(told) == sorted(product([size.name for size in model.sizes], model.memory_plans))
    for size in model.sizes:
        whole, *lighter = [model.needs(plan, size.name) or 0 for plan in model.memory_plans]
        assert whole > max(lighter)
        assert model.needs(model.memory_plans[-1], size.name) == min(lighter)


@pytest.mark.parametrize("model", MODELS, ids=by_slug)
def test_presets_say_what_they_change_and_change_something(model: Model) -> None:
    for preset in model.presets:
        changed = (preset.steps, preset.guidance, preset.step_cache, preset.adapters, preset.options)
        assert (preset.name == "standard") is not any(changed)
    assert model.licence.conditions


@pytest.mark.parametrize("engine", sorted({model.engine for model in MODELS}))
def test_engines_are_where_the_catalog_says(engine: str) -> None:
    assert engine.endswith(type(make(engine)).__name__)


H200, H100, L40S, RTX_4090, RTX_4080, RTX_3080 = 143_771, 81_559, 46_068, 24_564, 16_376, 10_240
"""MiB, as drivers tell."""


@pytest.mark.parametrize(
    ("slug", "vram_mib", "plan"),
    [
        ("wan2.2-i2v", H200, "full"), ("wan2.2-i2v", H100, "lean"), ("wan2.2-i2v", RTX_4090, "offload"),
        ("ltx-video-13b", H100, "full"), ("ltx-video-13b", L40S, "offload"), ("ltx-video-2b", RTX_4090, "tiled"),
        ("svd-1.1", RTX_4080, "full"), ("svd-1.1", RTX_3080, "tiled"), ("cogvideox-5b-i2v", RTX_4090, "offload"),
        ("hunyuanvideo-i2v", H100, "full"), ("hunyuanvideo-1.5-i2v", RTX_4090, "offload"),
        ("ltx-2", H200, "full"), ("ltx-2", H100, "lean"), ("ltx-2", L40S, "offload"),
    ],
)  # fmt: skip
def test_plans_by_example(slug: str, vram_mib: int, plan: str) -> None:
    assert plan_for(SHIPPED[slug], vram_mib) == plan
