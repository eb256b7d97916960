"""The adapters that jobs bring: LoRAs which an operator has registered (`generation.models.Adapter`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from generation.catalog.schema import Model
from generation.errors import InvalidJob
from generation.models import Adapter

MOST = 3
"""Adapters that one job may bring: more of them mostly work against each other."""


@dataclass(frozen=True, slots=True)
class AdapterWish:
    """An adapter that a job asks for, and how strongly it acts; None is the adapter's default."""

    name: str
    strength: float | None = None


def usable(model: Model) -> list[Adapter]:
    """The adapters that jobs of the model may bring, by name. One query, none where the model takes none."""
    if not model.lora:
        return []
    return list(Adapter.objects.filter(is_enabled=True, models_allowed__contains=[model.slug]))


def check(model: Model, wishes: Sequence[AdapterWish]) -> list[dict[str, Any]]:
    """The adapters as a job stores them, `{name, strength}` each. Raises `InvalidJob`."""
    if not wishes:
        return []
    if not model.lora:
        raise _refused(f"{model.name} takes no adapters")
    if len(wishes) > MOST:
        raise _refused(f"a job may have at most {MOST} adapters, but has {len(wishes)}")
    names = [wish.name for wish in wishes]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise _refused(f"adapters must be different ones, but {', '.join(doubled)} stands twice")
    there = {adapter.name: adapter for adapter in usable(model)}
    return [{"name": wish.name, "strength": _strength(wish, there, model)} for wish in wishes]


def _strength(wish: AdapterWish, there: dict[str, Adapter], model: Model) -> float:
    adapter = there.get(wish.name)
    if adapter is None:
        raise _refused(
            f"an adapter of {model.name} must be one of {', '.join(there) or 'none'}, but is {wish.name!r}"
        )
    strength = adapter.default_strength if wish.strength is None else wish.strength
    if not adapter.min_strength <= strength <= adapter.max_strength:
        raise _refused(
            f"the strength of {adapter.name} must be between {adapter.min_strength:g} and "
            f"{adapter.max_strength:g}, but is {strength:g}"
        )
    return strength


def _refused(message: str) -> InvalidJob:
    return InvalidJob(message, field="adapters")
