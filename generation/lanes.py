"""Lanes: a lane is model × tier, and a lane is a Celery queue of the same name."""

from __future__ import annotations

from dataclasses import dataclass

from billing.tiers import Tier
from generation import catalog


class UnknownLane(Exception):
    """No such model or tier, so no such queue: never one made in silence."""


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
