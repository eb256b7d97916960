"""`manage.py costs`: what the GPUs cost in the last days, and what a finished second of video came to."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from generation.costs import tables
from generation.costs.report import DIMENSIONS, USUAL, Report, report
from mutoscope.clock import database_time


def _days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 3660:
        raise ArgumentTypeError(f"must be a whole number of days from 1 to 3660, but is {text!r}")
    return int(text)


class Command(BaseCommand):
    requires_system_checks = ()  # they would load the pages and the API into a process that needs neither
    help = "Show the cost by model, tier, GPU and market: $ per finished second, margin, share of lost work."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=_days, default=30, help="so many, today (UTC) included; 30 by default")
        parser.add_argument(
            "--by", nargs="+", choices=DIMENSIONS, default=USUAL, help="one line for each of these together"
        )
        for name in DIMENSIONS[1:]:
            parser.add_argument(f"--{name}", default="", help="this one alone")
        parser.add_argument("--csv", action="store_true", help="unrounded, for spreadsheets and programs")

    def handle(self, *, days: int, by: list[str], **options: Any) -> None:
        today = database_time().date()
        only = {name: options[name] for name in DIMENSIONS[1:]}
        found = report(today - timedelta(days=days - 1), today, by=by, only=only)
        if options["csv"]:
            tables.write_csv(found, self.stdout)
        else:
            self._table(found)

    def _table(self, found: Report) -> None:
        lines = [tables.headings(found)]
        lines += [[*row.key, *tables.cells(row.figures)] for row in found.rows]
        lines.append(["all", *[""] * (len(found.by) - 1), *tables.cells(found.total)])
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        self.stdout.write(f"{found.since} to {found.until}, by days in UTC")
        for line in lines:
            named, counted = line[: len(found.by)], line[len(found.by) :]
            cells = [cell.ljust(width) for cell, width in zip(named, widths, strict=False)]
            cells += [cell.rjust(width) for cell, width in zip(counted, widths[len(found.by) :], strict=True)]
            self.stdout.write("  ".join(cells).rstrip())
        for note in tables.notes(found):
            self.stdout.write(note)
