"""`manage.py fleet up|status|drain`: the workers that `fleet.toml` wants, on this host and on all of them."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet
from django.utils import timezone

from generation import workers
from generation.catalog import CatalogError
from generation.models import Worker
from mutoscope.operations.fleet import status
from mutoscope.operations.fleet.file import Fleet, FleetError, Slot, read
from mutoscope.operations.fleet.foreman import Foreman

LOOK = 1.0
"""Seconds between looks at whether the drained workers are gone."""


class Command(BaseCommand):
    requires_system_checks = ()  # they would load the pages and the API into a process that needs neither
    help = "Run this host's workers (up), compare what runs with what is wanted (status), take some out (drain)."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="up|status|drain")
        up = verbs.add_parser("up", help="run this host's workers in the foreground; SIGHUP reads the file again")
        up.add_argument("--host", default=settings.WORKER_HOST, help="be this host (default: %(default)s)")
        table = verbs.add_parser(
            "status", help="what is wanted and what runs; exit code 1 when a worker is missing"
        )
        table.add_argument("--json", action="store_true", help="for programs")
        drain = verbs.add_parser("drain", help="have workers end what they have in hand, stop, and stay stopped")
        drain.add_argument("--host", default="", help="those of this host")
        drain.add_argument("--gpu", default=None, help="those of the GPU with this index")
        drain.add_argument("--model", default="", help="those of this model")
        drain.add_argument("--undo", action="store_true", help="let them run again")
        drain.add_argument("--wait", action="store_true", help="return when they are gone")

    def handle(self, *, verb: str, **options: Any) -> None:
        try:
            if verb == "up":
                self._up(options["host"])
            elif verb == "status":
                self._status(as_json=options["json"])
            elif options["undo"]:
                self._undo(options)
            else:
                self._drain(options)
        except (FleetError, CatalogError) as error:
            raise CommandError("\n".join(error.problems)) from error

    def _up(self, host: str) -> None:
        def slots() -> list[Slot]:
            return _file().slots(host)

        Foreman(host, slots, self._say).run()

    def _status(self, *, as_json: bool) -> None:
        lines = status.compare(_file(), workers.seen(), settings.WORKER_HOST)
        self.stdout.write(json.dumps(status.as_json(lines), indent=2) if as_json else status.as_table(lines))
        if not status.is_complete(lines):
            sys.exit(1)

    def _drain(self, options: dict[str, Any]) -> None:
        chosen = _chosen(options)
        alive = workers.request_drain(chosen)
        self.stdout.write(f"{alive} running workers are asked to drain.")
        while options["wait"] and chosen.filter(workers.alive()).exists():
            time.sleep(LOOK)
        if options["wait"]:
            self.stdout.write("They are gone.")

    def _undo(self, options: dict[str, Any]) -> None:
        self.stdout.write(f"{workers.lift_drain(_chosen(options))} workers may run again.")

    def _say(self, what: str) -> None:
        self.stdout.write(f"{timezone.now():%H:%M:%S} {what}")
        self.stdout.flush()


def _file() -> Fleet:
    return read(Path(settings.FLEET_FILE))


def _chosen(options: dict[str, Any]) -> QuerySet[Worker]:
    """The workers that the options name. Raises CommandError when there are none."""
    chosen = workers.matching(host=options["host"], gpu=options["gpu"], model=options["model"])
    if not chosen.exists():
        there = sorted({f"{one.place} {one.model}" for one in workers.matching()})
        raise CommandError(f"no such worker is known; known are {', '.join(there) or 'none'}")
    return chosen
