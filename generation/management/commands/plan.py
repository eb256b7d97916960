"""`manage.py plan --clips-per-day 1000 --seconds 4 --model ltx-video`: GPUs, costs and waits for a demand."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.models import GpuPrice
from generation.api.planner import PlanSerializer
from generation.catalog import CatalogError
from generation.planner import tables
from generation.planner.demand import PROFILES, WORKING_DAY
from generation.planner.plan import plan
from generation.planner.question import ImpossiblePlan, Question


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
        asked = {field.name: options[field.name] for field in fields(Question)}
        try:
            found = plan(Question.in_words(**asked))
        except ImpossiblePlan as impossible:
            raise CommandError(impossible.message) from impossible
        except CatalogError as error:
            raise CommandError("\n".join(error.problems)) from error
        if options["json"]:
            self.stdout.write(json.dumps(PlanSerializer(found).data, indent=2))
            return
        self.stdout.write("\n".join(tables.summary(found)))
        for table in tables.tables(found):
            self._table(table)

    def _table(self, table: tables.Table) -> None:
        lines = [table.headers, *table.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(table.headers))]
        self.stdout.write(f"\n{table.title}")
        for line in lines if table.rows else ():
            cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
            self.stdout.write(f"  {'  '.join(cells).rstrip()}")
        for note in table.notes:
            self.stdout.write(note)
