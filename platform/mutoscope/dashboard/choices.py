"""The catalog as the create page lays it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from generation import adapters, catalog, offers
from generation.catalog.schema import Mode, Model, Size
from generation.models import Adapter
from generation.requests import STANDARD

MODES = {
    Mode.IMAGE_TO_VIDEO.value: "From a picture",
    Mode.TEXT_TO_VIDEO.value: "From words alone",
    Mode.FIRST_LAST_FRAME.value: "From one picture to another",
}
"""The modes that this page has inputs for."""

GLYPH_BOX = 20
"""Pixels of the square that the little shape standing for a ratio is drawn in."""
_GLYPH_SIDE = 18


@dataclass(frozen=True, slots=True)
class Ratio:
    """The sizes of one shape, smallest first, and its glyph in pixels."""

    name: str
    glyph_width: int
    glyph_height: int
    sizes: list[Size]

    @property
    def glyph_x(self) -> float:
        return (GLYPH_BOX - self.glyph_width) / 2

    @property
    def glyph_y(self) -> float:
        return (GLYPH_BOX - self.glyph_height) / 2


@dataclass(frozen=True, slots=True)
class Shelf:
    """The models that this page has inputs for, by name: those offered here, and the others with why not."""

    offered: dict[str, Model]
    others: list[tuple[Model, str]]

    def model(self, slug: object) -> Model:
        """The offered model of that name; else the one to begin with: real diffusion, where there is any."""
        models = list(self.offered.values())
        first = next((model for model in models if model.diffusion), models[0])
        return self.offered.get(str(slug), first)


def shelf() -> Shelf:
    """The catalog as it is offered just now."""
    reasons = offers.why_not_all()
    models = sorted((model for model in catalog.models().values() if modes(model)), key=_by_name)
    return Shelf(
        {model.slug: model for model in models if model.slug not in reasons},
        [(model, reasons[model.slug]) for model in models if model.slug in reasons],
    )


def _by_name(model: Model) -> str:
    return model.name.casefold()


@dataclass(frozen=True, slots=True)
class AdapterChoice:
    """An adapter that may be chosen, and how it stands in the form."""

    adapter: Adapter
    is_chosen: bool
    strength: str


def adapter_choices(model: Model, chosen: Mapping[str, str]) -> list[AdapterChoice]:
    """The adapters for the model; `chosen` are the ticked ones, with their strengths as typed."""
    return [
        AdapterChoice(adapter, adapter.name in chosen, chosen.get(adapter.name) or f"{adapter.default_strength:g}")
        for adapter in adapters.usable(model)
    ]


def modes(model: Model) -> dict[str, str]:
    """The model's modes that this page has inputs for, with their labels."""
    return {mode.value: MODES[mode.value] for mode in model.modes if mode.value in MODES}


def ratios(model: Model) -> list[Ratio]:
    """The model's sizes by shape, in the order of the catalog."""
    shapes: dict[str, list[Size]] = {}
    for size in model.sizes:
        shapes.setdefault(size.ratio, []).append(size)
    return [
        Ratio(name, *_glyph(sizes[0]), sorted(sizes, key=lambda size: size.width * size.height))
        for name, sizes in shapes.items()
    ]


def _glyph(size: Size) -> tuple[int, int]:
    scale = _GLYPH_SIDE / max(size.width, size.height)
    return max(6, round(size.width * scale)), max(6, round(size.height * scale))


def fitted(model: Model, tiers: list[str], values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with what this model cannot do replaced by its defaults: what the form starts from."""
    frames = model.frames
    size = model.size(str(values.get("size")))
    fps, tier, mode, preset = (str(values.get(name, "")) for name in ("fps", "tier", "mode", "preset"))
    return {
        **values,
        "model": model.slug,
        "mode": mode if mode in modes(model) else next(iter(modes(model))),
        "size": size.name if size else model.default_size,
        "seconds": _seconds(model, values.get("seconds")),
        "fps": fps if fps in map(str, frames.fps) else str(frames.fps[0]),
        "tier": tier if tier in tiers else tiers[0],
        "preset": preset if model.preset(preset) else STANDARD if model.presets else "",
        **{name: _named(model, preset, name, values.get(name)) for name in ("steps", "guidance")},
    }


def _named(model: Model, preset_name: str, name: str, value: object) -> object:
    """Steps or guidance, where they are others than the preset or the model has: only those are named."""
    if model.sampling is None or value in (None, ""):
        return ""
    usual = getattr(model.preset(preset_name), name, None)
    return "" if value == (getattr(model.sampling, name) if usual is None else usual) else value


def _seconds(model: Model, asked: object) -> str:
    frames = model.frames
    try:
        seconds = float(str(asked))
    except ValueError:
        seconds = frames.default_seconds
    if not frames.min_seconds <= seconds <= frames.max_seconds:
        seconds = frames.default_seconds
    return f"{seconds:g}"
