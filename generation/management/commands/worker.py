"""`manage.py worker --model preview --lanes paid,free,batch`: serve a model's lanes on this machine."""

from __future__ import annotations

import signal
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.tiers import Tier
from generation.catalog import CatalogError
from generation.engines.base import EngineError
from generation.lanes import Lane, UnknownLane
from generation.worker import runtime
from mutoscope.celery import run_worker


class Command(BaseCommand):
    requires_system_checks = ()  # they would load the pages and the API into a process that needs neither
    help = "Serve jobs of one model: load it, keep it resident, and take tickets from the named lanes."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--model", required=True, help="slug of the model, as in the catalog")
        parser.add_argument(
            "--lanes",
            default=",".join(Tier.values),
            help="tiers to serve, in the order they are looked at (default: %(default)s)",
        )

    def handle(self, *, model: str, lanes: str, **options: Any) -> None:
        try:
            served = [Lane(model, tier.strip()) for tier in lanes.split(",")]
        except (UnknownLane, CatalogError) as error:
            raise CommandError(str(error)) from error
        queues = [str(lane) for lane in served]
        # Until the tickets' consumer is there, and has handlers of its own, nothing is in hand.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        worker = runtime.Runtime(model, served)
        try:
            worker.start()
            runtime.make_current(worker)
            self.stdout.write(f"serving {', '.join(queues)} as {worker.name}")
            run_worker(queues, name=worker.name.replace(":", "-"), on_stop=worker.drain.ask, on_tick=worker.tick)
        except EngineError as error:
            raise CommandError(f"{model} could not be loaded: {error.message}") from error
        finally:
            worker.stop()
