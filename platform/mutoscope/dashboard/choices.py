"""The catalog as the create page lays it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from billing.entitlements import Entitlements
from billing.errors import NotInPlan
from generation import adapters, catalog, limits, offers
from generation.catalog.schema import Mode, Model, Preset, Size
from generation.models import Adapter
from generation.prices import price_table
from generation.requests import STANDARD
from mutoscope.dashboard import delivery

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
class SizeChoice:
    """A size, and why the plan does not have it; empty where it does."""

    size: Size
    reason: str


@dataclass(frozen=True, slots=True)
class PresetChoice:
    """A preset, why the plan does not have it (empty where it does), and what it multiplies the price by."""

    preset: Preset
    reason: str
    price_factor: float


@dataclass(frozen=True, slots=True)
class Lengths:
    """The lengths to be had, in seconds; and what allows no more, where it is not the model's own longest."""

    shortest: float
    longest: float
    reason: str


@dataclass(frozen=True, slots=True)
class Ratio:
    """The sizes of one shape, smallest first, and its glyph in pixels."""

    name: str
    glyph_width: int
    glyph_height: int
    sizes: list[SizeChoice]

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
        models = list(self.offered.values()) or [model for model, _ in self.others]
        first = next((model for model in models if model.diffusion), models[0])
        return self.offered.get(str(slug), first)


def shelf(plan: Entitlements) -> Shelf:
    """The catalog as it is offered to the plan just now."""
    reasons = {slug: _reason(limits.without_model(plan, slug)) for slug in catalog.models()}
    reasons = {slug: reason for slug, reason in reasons.items() if reason} | offers.why_not_all()
    models = sorted((model for model in catalog.models().values() if modes(model)), key=_by_name)
    return Shelf(
        {model.slug: model for model in models if model.slug not in reasons},
        [(model, reasons[model.slug]) for model in models if model.slug in reasons],
    )


def _reason(refusal: NotInPlan | None) -> str:
    return refusal.message if refusal else ""


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


def presets(model: Model, plan: Entitlements) -> list[PresetChoice]:
    """The model's presets."""
    factors = price_table(model).presets
    return [
        PresetChoice(preset, _reason(limits.without_preset(plan, preset.name)), factors[preset.name])
        for preset in model.presets
    ]


def lengths(model: Model, plan: Entitlements) -> Lengths:
    """The model's lengths, as far as the plan has them."""
    frames = model.frames
    refusal = limits.without_length(plan, frames.max_seconds)
    if refusal is None or plan.max_seconds is None:
        return Lengths(frames.min_seconds, frames.max_seconds, "")
    return Lengths(frames.min_seconds, max(frames.min_seconds, plan.max_seconds), plan.source_of("max_seconds"))


def ratios(model: Model, plan: Entitlements) -> list[Ratio]:
    """The model's sizes by shape, in the order of the catalog."""
    shapes: dict[str, list[Size]] = {}
    for size in model.sizes:
        shapes.setdefault(size.ratio, []).append(size)
    return [
        Ratio(
            name,
            *_glyph(sizes[0]),
            [SizeChoice(size, _no_size(plan, size)) for size in sorted(sizes, key=_pixels)],
        )
        for name, sizes in shapes.items()
    ]


def size_rule(model: Model, plan: Entitlements) -> str:
    """Why some of the model's sizes are not to be had; empty where all are."""
    if plan.max_pixels is None or not any(_no_size(plan, size) for size in model.sizes):
        return ""
    return f"{plan.source_of('max_pixels')} allows {plan.max_pixels:,} pixels at most"


def _pixels(size: Size) -> int:
    return size.width * size.height


def _no_size(plan: Entitlements, size: Size) -> str:
    return _reason(limits.without_size(plan, size.width, size.height))


def _glyph(size: Size) -> tuple[int, int]:
    scale = _GLYPH_SIDE / max(size.width, size.height)
    return max(6, round(size.width * scale)), max(6, round(size.height * scale))


def fitted(model: Model, plan: Entitlements, values: Mapping[str, Any]) -> dict[str, Any]:
    """`values`, with what this model or the plan does not have replaced: what the form starts from."""
    frames = model.frames
    fps, tier, mode, preset = (str(values.get(name, "")) for name in ("fps", "tier", "mode", "preset"))
    preset = _preset(model, plan, preset)
    return {
        **values,
        "model": model.slug,
        "mode": mode if mode in modes(model) else next(iter(modes(model))),
        "size": _size(model, plan, str(values.get("size"))),
        "seconds": _seconds(model, plan, values.get("seconds")),
        "fps": fps if fps in map(str, frames.fps) else str(frames.fps[0]),
        "tier": tier if tier in plan.tiers else plan.tiers[0],
        "preset": preset,
        **delivery.fitted(plan, values),
        **{name: _named(model, preset, name, values.get(name)) for name in ("steps", "guidance")},
    }


def _size(model: Model, plan: Entitlements, asked: str) -> str:
    """The name of the size asked for, else the model's own, else the largest that the plan has."""
    there = [size for size in model.sizes if not _no_size(plan, size)]
    names = [size.name for size in there]
    if asked in names:
        return asked
    if model.default_size in names or not there:
        return model.default_size
    return max(there, key=_pixels).name


def _preset(model: Model, plan: Entitlements, asked: str) -> str:
    if not model.presets:
        return ""
    there = [choice.preset.name for choice in presets(model, plan) if not choice.reason]
    if asked in there:
        return asked
    return there[0] if there and STANDARD not in there else STANDARD


def _named(model: Model, preset_name: str, name: str, value: object) -> object:
    """Steps or guidance, where they are others than the preset or the model has: only those are named."""
    if model.sampling is None or value in (None, ""):
        return ""
    usual = getattr(model.preset(preset_name), name, None)
    return "" if value == (getattr(model.sampling, name) if usual is None else usual) else value


def _seconds(model: Model, plan: Entitlements, asked: object) -> str:
    there = lengths(model, plan)
    usual = min(model.frames.default_seconds, there.longest)
    try:
        seconds = float(str(asked))
    except ValueError:
        seconds = usual
    return f"{seconds if there.shortest <= seconds <= there.longest else usual:g}"
