"""`manage.py adapters list|pull`: the LoRAs that operators have registered, and those of hubs on this machine."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from generation.models import Adapter
from generation.weights.errors import WeightsError
from generation.weights.registered import hub_files, pull_adapter


class Command(BaseCommand):
    requires_system_checks = ()  # they would load the pages and the API into a process that needs neither
    help = "The registered adapters: which there are, and fetching those that come from a hub to this machine."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", metavar="list | pull NAME")
        actions.add_parser("list", help="every adapter: models, strengths, where it comes from (the default)")
        actions.add_parser("pull", help="fetch an adapter's files from its hub, or what is missing").add_argument(
            "name"
        )

    def handle(self, *, action: str | None, name: str = "", **options: Any) -> None:
        if action != "pull":
            self._list()
            return
        adapter = Adapter.objects.filter(pk=name).first()
        if adapter is None:
            raise CommandError(f"no adapter is called {name!r}; look with: manage.py adapters list")
        try:
            pull_adapter(adapter, self.stdout)
        except WeightsError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt as error:
            raise CommandError("stopped; what came is kept, and another pull goes on from there") from error

    def _list(self) -> None:
        line = "{:<24} {:<30} {:<20} {:<10} {}"
        self.stdout.write(line.format("adapter", "models", "strengths", "enabled", "from"))
        for adapter in Adapter.objects.all():
            strengths = f"{adapter.min_strength:g}–{adapter.max_strength:g} ({adapter.default_strength:g})"
            models, enabled = ", ".join(adapter.models_allowed), "yes" if adapter.is_enabled else "no"
            self.stdout.write(line.format(adapter.name, models, strengths, enabled, _source(adapter)))


def _source(adapter: Adapter) -> str:
    if not adapter.huggingface:
        return "an uploaded file"
    is_here = all(file.is_file() for file in hub_files(adapter) if file)
    return f"{adapter.huggingface}, {'here' if is_here else 'not on this machine'}"
