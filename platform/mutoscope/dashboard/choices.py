"""The catalog as the create page lays it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from generation import catalog
from generation.catalog.schema import Mode, Model, Size

MODES = {
    Mode.IMAGE_TO_VIDEO.value: "From a picture",
    Mode.TEXT_TO_VIDEO.value: "From words alone",
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


def models() -> dict[str, Model]:
    """The models that this page can ask for, by slug."""
    return {slug: model for slug, model in catalog.models().items() if modes(model)}


def model_or_first(slug: object) -> Model:
    """The model of that name; where there is none, the first."""
    known = models()
    return known.get(str(slug)) or next(iter(known.values()))


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
    fps, tier, mode = (str(values.get(name, "")) for name in ("fps", "tier", "mode"))
    return {
        **values,
        "model": model.slug,
        "mode": mode if mode in modes(model) else next(iter(modes(model))),
        "size": size.name if size else model.default_size,
        "seconds": _seconds(model, values.get("seconds")),
        "fps": fps if fps in map(str, frames.fps) else str(frames.fps[0]),
        "tier": tier if tier in tiers else tiers[0],
        "steps": values.get("steps") or (model.sampling.steps if model.sampling else ""),
        "guidance": values.get("guidance") or (model.sampling.guidance if model.sampling else ""),
    }


def _seconds(model: Model, asked: object) -> str:
    frames = model.frames
    try:
        seconds = float(str(asked))
    except ValueError:
        seconds = frames.default_seconds
    if not frames.min_seconds <= seconds <= frames.max_seconds:
        seconds = frames.default_seconds
    return f"{seconds:g}"
