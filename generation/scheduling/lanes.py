"""Lanes: a lane is model × tier, and a lane is a Celery queue of the same name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from billing.tiers import Tier
from generation import catalog

Name = TypeVar("Name", "Lane", str)


class LaneError(Exception):
    """Lanes cannot be served as they were named; the message says what there is."""


class UnknownLane(LaneError):
    """No such model or tier, so no such queue: never one made in silence."""


class DoubledLane(LaneError):
    """A lane was named twice, so that the order in which to serve it is unclear."""


@dataclass(frozen=True, slots=True)
class Lane:
    """A queue of jobs for one model in one tier."""

    model: str
    tier: str

    def __post_init__(self) -> None:
        if self.model not in catalog.models():
            raise UnknownLane(
                f"a lane's model must be one of {', '.join(catalog.models())}, but is {self.model!r}"
            )
        if self.tier not in Tier.values:
            raise UnknownLane(f"a lane's tier must be one of {', '.join(Tier.values)}, but is {self.tier!r}")

    @classmethod
    def parse(cls, name: str) -> Lane:
        """The lane called `name`, as in `ltx-video.paid`. Raises `UnknownLane`."""
        model, _, tier = name.rpartition(".")
        return cls(model, tier)

    def __str__(self) -> str:
        return f"{self.model}.{self.tier}"


def every_lane() -> list[Lane]:
    """All lanes that the catalog makes."""
    return [Lane(model, tier) for model in catalog.models() for tier in Tier.values]


def lanes_of(model: str, names: Sequence[str]) -> list[Lane]:
    """The lanes of `model` that the names mean, in their order: tiers (`paid`) or full names (`preview.paid`).

    Raises `UnknownLane` for a name that means no lane of the model, `DoubledLane` for two that mean the same.
    """
    Lane(model, Tier.values[0])  # an unknown model is told as such, whatever its lanes are
    lanes: list[Lane] = []
    for name in names:
        owner, _, tier = name.rpartition(".")
        if owner and owner != model and owner in catalog.models():
            raise UnknownLane(f"a worker of {model} serves lanes of {model} alone, but {name!r} is {owner}'s")
        lane = Lane.parse(name) if owner else Lane(model, tier)
        if lane in lanes:
            raise DoubledLane(f"a lane must be named once, but {lane} stands twice")
        lanes.append(lane)
    return lanes


def late_first(lanes: Sequence[Name], lateness: Mapping[Name, float]) -> list[Name]:
    """The lanes in the order in which a worker that serves them in this one is to look at them.

    Lanes whose oldest job has waited past its tier's promise come first, the one that is latest in proportion to
    its promise before the others. `lateness` is the wait as a share of the promise.
    """
    late = [lane for lane in lanes if lateness.get(lane, 0.0) >= 1]
    late.sort(key=lambda lane: -lateness[lane])
    return late + [lane for lane in lanes if lane not in late]
