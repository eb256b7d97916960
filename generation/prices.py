"""What a clip costs."""

from __future__ import annotations

from math import ceil

from generation.catalog.schema import Model


def credits_for(model: Model, seconds: float) -> int:
    """Whole credits for a clip of so many seconds, rounded up."""
    return ceil(round(model.price.credits_per_second * seconds, 6))
