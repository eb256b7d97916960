"""What a clip costs: one function, for the estimate, the submission, the pages and every API."""

from __future__ import annotations

from math import ceil

from billing.tiers import Tier
from generation.catalog.schema import Model


def credits_for(
    model: Model, *, size: str, seconds: float, preset: str = "", tier: str = "", steps: int | None = None
) -> int:
    """Whole credits for a clip, rounded up; at least one where the model costs anything.

    The model's price of a second (of its default size, with its standard preset) × the size's factor × the
    preset's × the tier's × seconds. More steps than the preset has cost in proportion; fewer cost no less.
    """
    price = model.price
    exact = (
        price.credits_per_second
        * seconds
        * size_factor(model, size)
        * preset_factor(model, preset)
        * (price.tiers.get(Tier(tier), 1.0) if tier else 1.0)
        * _more_steps(model, preset, steps)
    )
    return ceil(round(exact, 6))


def size_factor(model: Model, name: str) -> float:
    """What the catalog says for the size, else its pixels beside those of the default size."""
    named = model.price.sizes.get(name)
    if named is not None:
        return named
    pixels = {size.name: size.width * size.height for size in model.sizes}
    return pixels[name] / pixels[model.default_size]


def preset_factor(model: Model, name: str) -> float:
    """What the catalog says for the preset, else its steps beside the model's own."""
    named = model.price.presets.get(name)
    if named is not None:
        return named
    usual = model.sampling.steps if model.sampling else None
    steps = steps_of(model, name)
    return steps / usual if steps and usual else 1.0


def _more_steps(model: Model, preset: str, steps: int | None) -> float:
    usual = steps_of(model, preset)
    return max(1.0, steps / usual) if steps and usual else 1.0


def steps_of(model: Model, name: str) -> int | None:
    """Denoising steps of a preset: its own, else the model's; None in models that do not denoise."""
    preset = model.preset(name)
    return (preset and preset.steps) or (model.sampling.steps if model.sampling else None)
