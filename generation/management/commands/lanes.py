"""`manage.py lanes`: what waits in each lane, and pausing and resuming lanes, models or everything."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from generation import control
from generation.scheduling.lanes import UnknownLane
from generation.selectors import LaneFacts, lane_facts
from mutoscope.errors import Refusal


class Command(BaseCommand):
    requires_system_checks = ()  # they would load the pages and the API into a process that needs neither
    help = (
        "Show the lanes; pause and resume them: one lane (preview.paid), a model (preview), or * for everything."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", metavar="list | pause SCOPE | resume SCOPE")
        listing = actions.add_parser("list", help="what waits in each lane (the default)")
        listing.add_argument("--json", action="store_true", help="for programs")
        pausing = actions.add_parser("pause", help="claim no more jobs from there; those under way go on")
        pausing.add_argument("scope")
        pausing.add_argument("--reason", default="", help="for the users whose jobs wait")
        actions.add_parser("resume", help="claim from there again").add_argument("scope")

    def handle(self, *, action: str | None, scope: str = "", reason: str = "", **options: Any) -> None:
        try:
            if action == "pause":
                done = control.pause(scope, reason=reason)
                self.stdout.write(f"{scope} is paused" if done else f"{scope} was paused already")
            elif action == "resume":
                done = control.resume(scope)
                self.stdout.write(f"{scope} is resumed" if done else f"{scope} was not paused")
            elif options.get("json"):
                self.stdout.write(json.dumps([fact.as_json() for fact in lane_facts()], indent=2))
            else:
                self._table(lane_facts())
        except (UnknownLane, Refusal) as error:
            raise CommandError(str(error)) from error

    def _table(self, facts: list[LaneFacts]) -> None:
        line = "{:<28} {:>8} {:>10} {:>8} {:>9} {:>8}  {}"
        self.stdout.write(line.format("lane", "waiting", "throttled", "running", "oldest", "workers", "paused"))
        for fact in facts:
            oldest = f"{fact.oldest_seconds:.0f} s" if fact.oldest_seconds is not None else "-"
            paused = f"{fact.paused.scope}: {fact.paused.reason}".rstrip(": ") if fact.paused else "-"
            self.stdout.write(
                line.format(
                    fact.lane, fact.waiting, fact.throttled, fact.running, oldest, fact.workers or "none", paused
                )
            )
