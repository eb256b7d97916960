"""What plans and packs are, and cost, as people read it before they buy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from billing.models import CreditPack, Plan

MIB_PER_GIB = 1024


@dataclass(frozen=True, slots=True)
class PlanCard:
    """A plan beside the others. `points` are its limits, a short line each."""

    slug: str
    name: str
    summary: str
    price: str
    """Empty for none that is asked by the month."""
    terms: str
    points: list[str]
    is_current: bool
    is_on_sale: bool


@dataclass(frozen=True, slots=True)
class PackCard:
    """A pack of credits. `each` is what 100 of its credits cost."""

    slug: str
    name: str
    price: str
    each: str
    validity: str


def in_order(plans: Iterable[Plan]) -> list[Plan]:
    """The default plan first, then by price; those by agreement last."""
    return sorted(plans, key=lambda plan: (not plan.is_default, not plan.price_cents, plan.price_cents))


def plan_card(plan: Plan, *, current: str, sells: bool) -> PlanCard:
    """The plan's card; `current` is the slug of the plan that the workspace is on."""
    return PlanCard(
        slug=plan.slug,
        name=plan.name,
        summary=plan.summary,
        price=money(plan.price_cents, plan.currency) if plan.price_cents else "",
        terms="a month" if plan.price_cents else "No charge" if plan.is_default else "By agreement",
        points=list(_points(plan)),
        is_current=plan.slug == current,
        is_on_sale=sells and bool(plan.stripe_price),
    )


def pack_card(pack: CreditPack) -> PackCard:
    """The pack's card."""
    return PackCard(
        slug=pack.slug,
        name=pack.name,
        price=money(pack.price_cents, pack.currency),
        each=f"{money(round(pack.price_cents * 100 / pack.credits), pack.currency)} for 100",
        validity=f"Good for {pack.valid_days:,} days" if pack.valid_days else "They never expire",
    )


def money(cents: int, currency: str) -> str:
    """Such as: 19 USD, 5.50 USD."""
    amount = f"{cents // 100:,}" if cents % 100 == 0 else f"{cents / 100:,.2f}"
    return f"{amount} {currency.upper()}"


def _points(plan: Plan) -> Iterator[str]:
    if plan.credits_per_month is None:
        yield "No credits needed: jobs are not metered"
    else:
        yield f"{plan.credits_per_month:,} credits a month"
    yield f"{_counted(plan.concurrent_jobs, 'job')} at a time, {plan.queued_jobs:,} waiting"
    yield f"Queues: {', '.join(plan.tiers)}"
    if plan.max_pixels or plan.max_seconds:
        yield f"Clips up to {' and '.join(_largest(plan))}"
    else:
        yield "Clips as large and long as the models make"
    if plan.seconds_per_day or plan.seconds_per_month:
        yield f"At most {' and '.join(_quotas(plan))} of video"
    if plan.storage_mib:
        yield f"{_size(plan.storage_mib)} of storage"
    yield f"Clips are kept {plan.retention_days:,} days" if plan.retention_days else "Clips are kept for good"


def _largest(plan: Plan) -> Iterator[str]:
    if plan.max_pixels:
        yield f"{plan.max_pixels / 1e6:.1f} megapixels"
    if plan.max_seconds:
        yield f"{plan.max_seconds:g} s"


def _quotas(plan: Plan) -> Iterator[str]:
    if plan.seconds_per_day:
        yield f"{plan.seconds_per_day:,} s a day"
    if plan.seconds_per_month:
        yield f"{plan.seconds_per_month:,} s a month"


def _size(mib: int) -> str:
    return f"{mib / MIB_PER_GIB:,.4g} GiB" if mib >= MIB_PER_GIB else f"{mib} MiB"


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
