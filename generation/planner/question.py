"""What a plan is asked for: checked and complete, or refused with the rule and the value."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from math import isfinite
from types import MappingProxyType
from typing import Any, Self

from billing.models import GpuPrice
from billing.tiers import Tier
from generation import catalog
from generation.catalog.schema import Model, Size
from generation.costs.estimates import model_called
from generation.planner.demand import PROFILES, WORKING_DAY
from generation.requests import STANDARD
from mutoscope.errors import Refusal

Market = GpuPrice.Market

MOST_CLIPS = 10_000_000
MOST_GPUS = 1_000
MOST_WORKSPACES = 1_000
ALL_PAID: Mapping[str, float] = MappingProxyType({str(Tier.PAID): 1.0})


class ImpossiblePlan(Refusal):
    """Nothing can be planned for such figures, or on such a GPU."""

    code = "impossible_plan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A demand for clips of one kind, and what is already decided of the fleet that is to make them.

    Checked when it is made. Raises `ImpossiblePlan`.
    """

    clips_per_day: int
    seconds: float
    """Of one clip."""
    model: str
    """A slug of the catalog, or a name that people call it by (`ltx-video`)."""
    size: str = ""
    """Empty is the model's default."""
    preset: str = ""
    """Empty is the model as published."""
    gpu: str = ""
    """As the price book calls it, or the driver. Empty is the one that makes a second for the least."""
    market: str = ""
    """`spot` or `on_demand`: which prices the GPU is chosen by. Empty is whichever is lower."""
    fleet: int | None = None
    """GPUs whose waits are asked for. None: as many as are needed, and more until the tiers' promises are kept."""
    profile: str = WORKING_DAY
    workspaces: int = 10
    """Among which the clips are spread evenly."""
    plan: str = ""
    """The plan that all of them are on, for its limit on concurrent jobs. Empty is no limit."""
    tiers: Mapping[str, float] = field(default_factory=lambda: ALL_PAID)
    """Share of the clips by tier; the shares need not come to one."""
    seed: int = 1
    """Of the simulated arrivals."""

    def __post_init__(self) -> None:
        _within("clips_per_day", self.clips_per_day, 1, MOST_CLIPS)
        _within("workspaces", self.workspaces, 1, MOST_WORKSPACES)
        if self.fleet is not None:
            _within("fleet", self.fleet, 1, MOST_GPUS)
        _one_of("profile", self.profile, PROFILES)
        _one_of("market", self.market, ["", *Market.values])
        for tier in self.tiers:
            _one_of("tiers", tier, Tier.values)
        if not self.tiers or not all(isfinite(share) and share > 0 for share in self.tiers.values()):
            told = ", ".join(f"{tier}={share:g}" for tier, share in self.tiers.items()) or "empty"
            raise ImpossiblePlan(f"every tier's share must be above 0, but tiers is {told}", field="tiers")
        rule = self.entry.frames
        _within("seconds", self.seconds, rule.min_seconds, rule.max_seconds)
        _one_of("size", self.size, ["", *(size.name for size in self.entry.sizes)])
        _one_of("preset", self.preset, ["", *(preset.name for preset in self.entry.presets)])

    @classmethod
    def in_words(cls, *, tiers: str, **asked: Any) -> Self:
        """The question as it comes from a form or a command line, with tiers as `shares` reads them."""
        return cls(tiers=shares(tiers), **asked)

    @property
    def entry(self) -> Model:
        """The catalog's entry."""
        model = model_called(self.model)
        if model is None:
            rule = f"the model must be one of {', '.join(catalog.models())}, but is {self.model!r}"
            raise ImpossiblePlan(rule, field="model")
        return model

    @property
    def chosen_size(self) -> Size:
        """The size that is made."""
        name = self.size or self.entry.default_size
        return next(size for size in self.entry.sizes if size.name == name)

    @property
    def chosen_preset(self) -> str:
        """The preset's name; empty for a model that has none."""
        return self.preset or (STANDARD if self.entry.presets else "")


def shares(words: str) -> dict[str, float]:
    """Tiers with their shares, written as `paid=7,free=3`; one without a share has 1. Raises `ImpossiblePlan`."""
    found: dict[str, float] = {}
    for word in words.split(","):
        tier, _, share = (part.strip() for part in word.partition("="))
        if tier in found:
            raise ImpossiblePlan(f"a tier must be named once, but {tier} stands twice in {words!r}", field="tiers")
        try:
            found[tier] = float(share or 1)
        except ValueError as error:
            raise ImpossiblePlan(
                f"the share of {tier} must be a number, but is {share!r}", field="tiers"
            ) from error
    return found


def _within(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:  # NaN is not, either
        bounds = " to ".join(_told(bound) for bound in (least, most))
        raise ImpossiblePlan(f"{name} must be from {bounds}, but is {_told(value)}", field=name)


def _told(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _one_of(name: str, value: str, there: Collection[str]) -> None:
    if value not in there:
        told = ", ".join(filter(None, there)) or "none at all"
        raise ImpossiblePlan(f"{name} must be one of {told}, but is {value!r}", field=name)
