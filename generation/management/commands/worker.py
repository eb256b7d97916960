"""`manage.py worker --model wan2.2-i2v --lanes paid,free --gpu 0`: serve a model's lanes on this machine."""

from __future__ import annotations

import re
import signal
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.tiers import Tier
from generation import catalog, licences, workers
from generation.catalog import CatalogError
from generation.catalog.fitting import UnknownPlan
from generation.engines.base import EngineError
from generation.management.signing import check_what_signs
from generation.scheduling.lanes import LaneError, lanes_of
from generation.worker import gpu as gpus
from generation.worker import identity, runtime
from mutoscope.celery import run_worker

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}")


class Command(BaseCommand):
    requires_system_checks = ()  # they would load the pages and the API into a process that needs neither
    help = "Serve jobs of one model: load it, keep it resident, and take tickets from the named lanes."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--model", required=True, help="slug of the model, as in the catalog")
        parser.add_argument(
            "--lanes",
            default=",".join(Tier.values),
            help="tiers (paid) or lanes (MODEL.paid) to serve, in this order (default: %(default)s)",
        )
        parser.add_argument(
            "--gpu",
            default="",
            help="index or UUID of the GPU to use, as nvidia-smi lists them (default: the only one)",
        )
        parser.add_argument("--plan", default="", help="memory plan (default: the one that fits the GPU)")
        parser.add_argument("--spot", action="store_true", help="this machine may be taken away at short notice")
        parser.add_argument(
            "--name", default="", help="a name that stays the same after a restart, once on this host"
        )

    def handle(
        self, *, model: str, lanes: str, gpu: str, plan: str, spot: bool, name: str, **options: Any
    ) -> None:
        # Until the tickets' consumer is there, and has handlers of its own, nothing is in hand.
        signal.signal(signal.SIGTERM, _leave)
        check_what_signs(self.stderr)
        worker = runtime.Runtime(_identity(model, lanes, gpu, is_spot=spot, name=name, plan=plan))
        try:
            worker.start()
            runtime.make_current(worker)
            queues = [str(lane) for lane in worker.identity.lanes]
            self.stdout.write(f"serving {', '.join(queues)} as {worker.name}")
            run_worker(queues, name=worker.name.replace(":", "-"), on_stop=worker.drain.ask, on_tick=worker.tick)
        except EngineError as error:
            raise CommandError(f"{model} could not be loaded: {error.message}") from error
        finally:
            worker.stop()


def _leave(*_: object) -> None:
    """End, once: a second signal must not break off the stopping, which would leave the engine behind."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(0)


def _identity(model: str, lanes: str, gpu: str, *, is_spot: bool, name: str, plan: str) -> identity.Identity:
    """Who this worker is to be; from then on the processes it starts see its GPU alone. Raises CommandError."""
    if name and not NAME.fullmatch(name):
        raise CommandError(
            f"--name must be up to 50 letters, digits, dots, dashes and underscores, but is {name!r}"
        )
    try:
        served = lanes_of(model, [lane.strip() for lane in lanes.split(",")])
        refusal = licences.refusal(catalog.models()[model])
        if refusal:
            raise CommandError(refusal)
        card = gpus.find(gpu) if gpu else gpus.only_one() if catalog.models()[model].memory else None
        who = identity.of_this_process(served, gpu=card, is_spot=is_spot, name=name, plan=plan)
        workers.check_name(who.name, who.host)
    except (LaneError, CatalogError, UnknownPlan, gpus.UnknownGpu, workers.NameRefused) as error:
        raise CommandError(str(error)) from error
    if card:
        gpus.show_only(card)
    return who
