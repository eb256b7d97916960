"""A plan for people: on the terminal and on the admin's page."""

from __future__ import annotations

from dataclasses import dataclass

from billing.models import GpuPrice
from generation.costs.tables import NONE, dollars
from generation.planner.comparison import Comparison
from generation.planner.fleets import FleetWaits, promises
from generation.planner.plan import Choice, Plan

ESTIMATE = " (estimate)"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of words under headers, and sentences that they need."""

    title: str
    headers: list[str]
    rows: list[list[str]]
    notes: list[str]


def summary(found: Plan) -> list[str]:
    """What is planned for, and the answer in a few sentences."""
    asked, choice = found.question, found.chosen
    capacity = choice.capacity
    what = ", ".join(filter(None, [asked.entry.name, asked.chosen_size.name, asked.chosen_preset]))
    clips = f"{asked.clips_per_day:,} clips of {asked.seconds:g} s a day ({what})"
    speed = f"{capacity.seconds_per_hour:,.4g} s of it an hour{_marked(capacity.is_estimate)}"
    gpus = f"{choice.gpus} GPU{'s' if choice.gpus > 1 else ''}"
    return [
        f"{clips} are {found.seconds_per_day:,.10g} s of video.",
        f"{capacity.gpu}: {speed}, so {choice.gpu_hours:,.4g} GPU-hours a day. The busiest hour needs {gpus}.",
        f"Speed: {capacity.throughput.source}.",
    ]


def tables(found: Plan) -> list[Table]:
    """Everything that was found."""
    return [costs(found), against_peers(found), waits(found), choices(found)]


def costs(found: Plan) -> Table:
    """Dollars by market."""
    gpus = found.chosen.gpus
    rows: list[list[str]] = []
    sources: dict[str, None] = {}
    for market, cost in found.chosen.costs.items():
        outlay, rate = cost.outlay, cost.outlay.rate
        amounts = [outlay.as_needed_day, outlay.as_needed_month, outlay.always_on_day, outlay.always_on_month]
        name = _words(market) + _marked(rate.is_estimate)
        prices = [dollars(rate.usd_per_hour), dollars(outlay.usd_per_second, 4)]
        rows.append([name, *prices, *map(dollars, amounts)])
        sources[rate.source] = None
    return Table(
        "Costs",
        [
            "market",
            "an hour",
            "a finished second",
            "as needed: a day",
            "a month",
            f"{gpus} always on: a day",
            "a month",
        ],
        rows,
        [
            "As needed pays for the hours of work alone; always on, for the busiest hour's GPUs around the clock.",
            f"Prices: {'; '.join(sources)}.",
        ],
    )


def against_peers(found: Plan) -> Table:
    """Hosted services for the same demand."""
    rows: list[list[str]] = []
    for peer in found.peers:
        bill = [dollars(amount) for amount in (peer.price.usd_per_second, peer.usd_per_day, peer.usd_per_month)]
        for market, cost in found.chosen.costs.items():
            held = next(one for one in cost.comparisons if one.peer == peer.price)
            rows.append([peer.price.name, *bill, _words(market), *_against(held)])
    return Table(
        "Against hosted services",
        [
            "service",
            "a second",
            "a day",
            "a month",
            "own GPU",
            "cheaper",
            "rounded",
            "pays from, a day",
            "an hour",
        ],
        rows,
        [
            "Rounded: with the own cost of a second rounded to a tenth of a cent, as publications like to do.",
            "Pays from: clips a day that pay for one GPU around the clock; for an hour of one rented as needed.",
        ],
    )


def waits(found: Plan) -> Table:
    """Seconds until a clip starts, by fleet and tier."""
    asked = found.question
    given = f"{asked.workspaces} workspaces, the profile {asked.profile}, seed {asked.seed}"
    return Table(
        "Waits",
        ["GPUs", "busy", "tier", "p50", "p95", "p99", "promise"],
        [row for fleet in found.waits for row in _fleet(fleet)],
        [found.no_waits or f"Simulated with the rules that real claims go by: {given}."],
    )


def choices(found: Plan) -> Table:
    """Every GPU that could do it."""
    return Table(
        "GPUs to choose from",
        ["GPU", "GPU-hours a day", "needed", "a second on demand", "on spot", "memory plan", "speed from"],
        [_choice(choice) for choice in found.choices],
        ["Estimated speeds do not reckon with the memory plan; under offload and tiled they are lower."],
    )


def _against(held: Comparison) -> list[str]:
    cells = [f"{times:.2f}×" if times else NONE for times in (held.times, held.times_rounded)]
    return cells + [f"{clips:,.1f}" if clips else "never" for clips in (held.always_on_clips, held.hourly_clips)]


def _fleet(fleet: FleetWaits) -> list[list[str]]:
    first = [str(fleet.gpus), f"{fleet.busy:.0%}"]
    if not fleet.tiers:
        return [[*first, "all", *["grows for ever"] * 3, "broken"]]
    rows: list[list[str]] = []
    for tier, found in fleet.tiers.items():
        told = [f"{seconds:,.0f} s" for seconds in (found.p50, found.p95, found.p99)]
        promise = promises()[tier]
        rows.append([*first, tier, *told, f"{promise:,.0f} s, {'kept' if found.p95 <= promise else 'broken'}"])
    return rows


def _choice(choice: Choice) -> list[str]:
    capacity = choice.capacity
    priced = [choice.costs.get(market) for market in GpuPrice.Market]
    seconds = [dollars(costs.outlay.usd_per_second, 4) if costs else NONE for costs in priced]
    name = capacity.gpu + _marked(capacity.is_estimate)
    hours = f"{choice.gpu_hours:,.4g}"
    return [
        name, hours, str(choice.gpus), *seconds, capacity.memory_plan or NONE, capacity.throughput.source
    ]  # fmt: skip


def _marked(is_estimate: bool) -> str:
    return ESTIMATE if is_estimate else ""


def _words(market: str) -> str:
    return market.replace("_", " ")
