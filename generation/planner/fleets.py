"""How long clips wait in fleets of several sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from django.conf import settings

from billing import entitlements
from billing.models import Plan
from billing.tiers import Tier
from generation.planner import simulation
from generation.planner.capacity import Capacity
from generation.planner.demand import HOURS
from generation.planner.question import MOST_GPUS, ImpossiblePlan, Question
from generation.planner.simulation import Arrival, Tenant, Waits

MOST_CLIPS_A_DAY = 20_000
"""Of which waits are simulated: it takes about a second for each fleet."""
ENOUGH_CLIPS = 5_000
MOST_DAYS = 30
MOST_FLEETS = 4


@dataclass(frozen=True, slots=True)
class FleetWaits:
    """Waits by tier in a fleet of so many GPUs."""

    gpus: int
    busy: float
    """Share of the time that its GPUs work, over the day."""
    tiers: Mapping[str, Waits]
    """Empty where the fleet cannot keep up: its line grows for ever."""
    keeps_promises: bool
    """In every tier 95 of 100 clips start within the tier's promise."""


def fleet_waits(
    question: Question, capacity: Capacity, hours_a_day: float, needed: int
) -> tuple[tuple[FleetWaits, ...], str]:
    """The waits in the fleet that is asked about; else in some, from `needed` on until the promises are kept.

    And why there are none, if there are none. Raises `ImpossiblePlan` for a plan that is not there.
    """
    if question.clips_per_day > MOST_CLIPS_A_DAY:
        return (), (
            f"waits are simulated for at most {MOST_CLIPS_A_DAY:,} clips a day, but {question.clips_per_day:,} "
            "are asked for: plan for a part of them with the same part of the fleet, which waits a little longer"
        )
    tenants = _tenants(question)
    arrivals = _arrivals(question, capacity)
    sizes = [question.fleet] if question.fleet else range(needed, min(needed + MOST_FLEETS, MOST_GPUS + 1))
    found: list[FleetWaits] = []
    for gpus in sizes:
        found.append(_waits(arrivals, gpus, tenants, hours_a_day))
        if found[-1].keeps_promises:
            break
    return tuple(found), ""


def promises() -> dict[str, float]:
    """Seconds that a clip of each tier should wait at most, in the order in which workers serve the tiers."""
    return {tier: settings.TIER_PROMISES[tier].total_seconds() for tier in Tier.values}


def _waits(arrivals: list[Arrival], gpus: int, tenants: list[Tenant], hours_a_day: float) -> FleetWaits:
    busy = hours_a_day / (HOURS * gpus)
    at_once = min(gpus, sum(tenant.concurrent_jobs for tenant in tenants))
    if hours_a_day >= HOURS * at_once:
        return FleetWaits(gpus, min(busy, 1.0), {}, keeps_promises=False)
    by_tier = simulation.measured(arrivals, simulation.waits(arrivals, gpus, tenants, promises()))
    told = {tier: simulation.summary(by_tier[tier]) for tier in Tier.values if tier in by_tier}
    kept = all(waits.p95 <= promises()[tier] for tier, waits in told.items())
    return FleetWaits(gpus, busy, told, kept)


def _arrivals(question: Question, capacity: Capacity) -> list[Arrival]:
    days = min(MOST_DAYS, ceil(ENOUGH_CLIPS / question.clips_per_day))
    return simulation.demand(
        question.clips_per_day,
        capacity.clip_seconds(question.seconds),
        profile=question.profile,
        tiers=question.tiers,
        workspaces=question.workspaces,
        days=simulation.WARM_UP_DAYS + days,
        seed=question.seed,
    )


def _tenants(question: Question) -> list[Tenant]:
    if not question.plan:
        return [Tenant(MOST_GPUS)] * question.workspaces
    row = Plan.objects.filter(slug=question.plan).first()
    if row is None:
        there = ", ".join(Plan.objects.order_by("slug").values_list("slug", flat=True))
        raise ImpossiblePlan(f"the plan must be one of {there}, but is {question.plan!r}", field="plan")
    granted = entitlements.of_plan(row)
    return [Tenant(granted.concurrent_jobs, granted.weight)] * question.workspaces
