"""`manage.py plan --clips-per-day 1000 --seconds 4 --model ltx-video`: GPUs, costs and waits for a demand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.models import GpuPrice
from generation.api.planner import PlanSerializer
from generation.catalog import CatalogError
from generation.planner.comparison import Comparison
from generation.planner.demand import PROFILES, WORKING_DAY
from generation.planner.fleets import FleetWaits, promises
from generation.planner.plan import Choice, Plan, plan
from generation.planner.question import ImpossiblePlan, Question, shares

ESTIMATE = " (estimate)"


class Command(BaseCommand):
    requires_system_checks = ()  # they would load the pages and the API into a process that needs neither
    help = "Plan: GPUs, hours, dollars, break-even against hosted services, and how long clips would wait."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--clips-per-day", type=int, required=True)
        parser.add_argument("--seconds", type=float, required=True, help="of one clip")
        parser.add_argument("--model", required=True, help="slug of a model, or a name such as ltx-video")
        parser.add_argument("--size", default="", help="default: the model's")
        parser.add_argument("--preset", default="", help="default: the model as published")
        parser.add_argument(
            "--gpu", default="", help="as the price book or the driver calls it (default: the cheapest a second)"
        )
        market = parser.add_mutually_exclusive_group()
        for name in GpuPrice.Market:
            market.add_argument(
                f"--{name.replace('_', '-')}", dest="market", action="store_const", const=str(name), default="",
                help=f"choose the GPU by prices {name.label} (default: by the lower of both)",
            )  # fmt: skip
        parser.add_argument(
            "--fleet", type=int, help="GPUs whose waits are asked for (default: as many as needed)"
        )
        parser.add_argument("--profile", default=WORKING_DAY, choices=list(PROFILES), help="when in the day")
        parser.add_argument("--workspaces", type=int, default=10, help="that share the clips (default: 10)")
        parser.add_argument("--plan", default="", help="theirs, for its limit on concurrent jobs (default: none)")
        parser.add_argument("--tiers", default="paid", help="with their shares: paid=7,free=3 (default: paid)")
        parser.add_argument("--seed", type=int, default=1, help="of the simulated arrivals")
        parser.add_argument("--json", action="store_true", help="for programs: what /api/v1/planner answers")

    def handle(self, **options: Any) -> None:
        asked = {name: options[name] for name in Question.__dataclass_fields__}
        try:
            found = plan(Question(**asked | {"tiers": shares(options["tiers"])}))
        except ImpossiblePlan as impossible:
            raise CommandError(impossible.message) from impossible
        except CatalogError as error:
            raise CommandError("\n".join(error.problems)) from error
        if options["json"]:
            self.stdout.write(json.dumps(PlanSerializer(found).data, indent=2))
            return
        for part in (_demand(found), _costs(found), _peers(found), _waits(found), _choices(found)):
            self.stdout.write("\n".join(part) + "\n")


def _demand(found: Plan) -> list[str]:
    asked, choice = found.question, found.chosen
    capacity = choice.capacity
    what = ", ".join(filter(None, [asked.entry.name, asked.chosen_size.name, asked.chosen_preset]))
    marked = ESTIMATE if capacity.is_estimate else ""
    wanted = f"{asked.clips_per_day:,} clips of {asked.seconds:g} s a day ({what})"
    speed = f"{capacity.seconds_per_hour:,.4g} s of it an hour{marked}"
    hours = f"{choice.gpu_hours:,.4g} GPU-hours a day"
    return [
        f"{wanted}: {found.seconds_per_day:,.10g} s of video.",
        f"{capacity.gpu}: {speed}, {hours}; {choice.gpus} needed in the busiest hour.",
        f"Speed: {capacity.throughput.source}.",
    ]


def _costs(found: Plan) -> list[str]:
    gpus = found.chosen.gpus
    rows = [["", "$/hour", "$/second", "as needed: day", "month", f"{gpus} always on: day", "month"]]
    sources: dict[str, None] = {}
    for market, costs in found.chosen.costs.items():
        outlay, rate = costs.outlay, costs.outlay.rate
        rows.append([
            _words(market) + (ESTIMATE if rate.is_estimate else ""), f"{rate.usd_per_hour:.2f}",
            f"{outlay.usd_per_second:.4f}", _usd(outlay.as_needed_day), _usd(outlay.as_needed_month),
            _usd(outlay.always_on_day), _usd(outlay.always_on_month),
        ])  # fmt: skip
        sources[rate.source] = None
    return [*_table(rows), f"Prices: {'; '.join(sources)}."]


def _peers(found: Plan) -> list[str]:
    rows = [
        [
            "against",
            "$/second",
            "day",
            "month",
            "own GPUs",
            "cheaper",
            "rounded",
            "pays from clips a day",
            "an hour",
        ]
    ]
    for peer in found.peers:
        for number, (market, costs) in enumerate(found.chosen.costs.items()):
            held = next(one for one in costs.comparisons if one.peer == peer.price)
            of_peer = [peer.price.name, f"{peer.price.usd_per_second:.2f}", _usd(peer.usd_per_day)]
            first = [*of_peer, _usd(peer.usd_per_month)] if number == 0 else [""] * 4
            rows.append([*first, _words(market), *_against(held)])
    return [
        *_table(rows),
        "Rounded: with the own cost of a second rounded to a tenth of a cent, as publications like to do it.",
        "Pays from: clips that pay for one GPU around the clock, and for an hour of one that runs only as needed.",
    ]


def _against(held: Comparison) -> list[str]:
    cells = [f"{times:.2f}×" if times else "–" for times in (held.times, held.times_rounded)]
    return cells + [f"{clips:,.1f}" if clips else "never" for clips in (held.always_on_clips, held.hourly_clips)]


def _waits(found: Plan) -> list[str]:
    if found.no_waits:
        return [f"No waits: {found.no_waits}."]
    rows = [["GPUs", "busy", "tier", "waits p50", "p95", "p99", "promise"]]
    for fleet in found.waits:
        rows += _fleet(fleet)
    asked = found.question
    given = f"{asked.workspaces} workspaces, {asked.profile}, seed {asked.seed}"
    return [*_table(rows), f"Simulated with the platform's own rules: {given}."]


def _fleet(fleet: FleetWaits) -> list[list[str]]:
    first = [str(fleet.gpus), f"{fleet.busy:.0%}"]
    if not fleet.tiers:
        return [[*first, "", "cannot keep up: the line grows for ever", "", "", ""]]
    rows: list[list[str]] = []
    for tier, waits in fleet.tiers.items():
        told = [f"{seconds:,.0f} s" for seconds in (waits.p50, waits.p95, waits.p99)]
        promise = promises()[tier]
        kept = f"{promise:,.0f} s, {'kept' if waits.p95 <= promise else 'broken'}"
        rows.append([*(first if not rows else ["", ""]), tier, *told, kept])
    return rows


def _choices(found: Plan) -> list[str]:
    rows = [["GPU", "GPU-hours a day", "needed", "$/second on demand", "spot"]]
    for choice in found.choices:
        marked = choice.capacity.gpu + (ESTIMATE if choice.capacity.is_estimate else "")
        rows.append([marked, f"{choice.gpu_hours:,.4g}", str(choice.gpus), *_seconds(choice)])
    return _table(rows)


def _seconds(choice: Choice) -> list[str]:
    priced = [choice.costs.get(market) for market in GpuPrice.Market]
    return [f"{costs.outlay.usd_per_second:.4f}" if costs else "–" for costs in priced]


def _words(market: str) -> str:
    return market.replace("_", " ")


def _usd(amount: Decimal) -> str:
    return f"{amount:,.2f}"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
