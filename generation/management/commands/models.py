"""`manage.py models list|pull|check|path`: the catalog's models and their weights on this machine."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from generation import catalog, licences
from generation.catalog import CatalogError, fitting
from generation.catalog.schema import Model
from generation.weights import check, folders
from generation.weights.errors import WeightsError
from generation.weights.needs import HubName
from generation.weights.pull import pull
from generation.worker.gpu import Gpu, gpus


class Command(BaseCommand):
    requires_system_checks = ()  # they would load the pages and the API into a process that needs neither
    help = "The catalog's models: which there are, fetching their weights, checking them, where they lie."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", metavar="list | pull MODEL | check MODEL | path MODEL")
        listing = actions.add_parser("list", help="every model: licence, weights, memory plan (the default)")
        listing.add_argument("--json", action="store_true", help="for programs")
        pulling = actions.add_parser("pull", help="fetch the weights, or what is missing of them")
        pulling.add_argument("model")
        pulling.add_argument(
            "--from", dest="source", choices=[str(hub) for hub in HubName], default="", help="the pipeline's hub"
        )
        pulling.add_argument(
            "--update", action="store_true", help="move what the catalog does not pin to the newest"
        )
        pulling.add_argument("--deep", action="store_true", help="hash what is there, fetch anew what is damaged")
        checking = actions.add_parser("check", help="files, GPU and licence; exit code 1 on any problem")
        checking.add_argument("model")
        checking.add_argument("--deep", action="store_true", help="compare the SHA-256 of every file")
        actions.add_parser("path", help="the folder of the pipeline; exit code 1 where it is not").add_argument(
            "model"
        )

    def handle(self, *, action: str | None, model: str = "", **options: Any) -> None:
        try:
            if action == "pull":
                chosen = {name: options[name] for name in ("source", "update", "deep")}
                pull(_model(model), self.stdout, **chosen)
            elif action == "check":
                self._check(_model(model), deep=options["deep"])
            elif action == "path":
                self._path(_model(model))
            else:
                self._list(as_json=bool(options.get("json")))
        except WeightsError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt as error:
            raise CommandError("stopped; what came is kept, and another pull goes on from there") from error
        except CatalogError as error:
            raise CommandError("\n".join(error.problems)) from error

    def _check(self, model: Model, *, deep: bool) -> None:
        here = gpus()
        problems = check.problems(model, here, deep=deep)
        for problem in problems:
            self.stdout.write(problem)
        if problems:
            sys.exit(1)
        self.stdout.write(f"{model.slug}: weights {check.presence(model)}, plan {_plans_in_words(model, here)}")

    def _path(self, model: Model) -> None:
        folder = folders.weights_folder(model)
        if folder is None:
            raise CommandError(f"{model.name} needs no weights")
        self.stdout.write(str(folder))
        if not folder.is_dir():
            sys.exit(1)

    def _list(self, *, as_json: bool) -> None:
        models = list(catalog.models().values())
        states, here = licences.states(models), gpus()
        if as_json:
            told = [_object(model, states[model.slug], here) for model in models]
            self.stdout.write(json.dumps(told, indent=2))
            return
        head = ("MODEL", "LICENCE", "ACCEPTANCE", "GIB", "WEIGHTS", "PLAN")
        rows = [head, *(_cells(model, states[model.slug], here) for model in models)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        for row in rows:
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.stdout.write(line.rstrip())


def _model(slug: str) -> Model:
    model = catalog.models().get(slug)
    if model is None:
        raise CommandError(f"the model must be one of {', '.join(catalog.models())}, but is {slug!r}")
    return model


def _object(model: Model, state: licences.State, here: list[Gpu]) -> dict[str, Any]:
    folder = folders.weights_folder(model)
    return {
        "model": model.slug,
        "licence": model.licence.name,
        "licence_version": model.licence.version,
        "licence_state": str(state),
        "gib": _gib(model),
        "weights": str(check.presence(model)),
        "folder": str(folder) if folder else None,
        "plans": [{"gpu": gpu.index, "plan": plan, "fits": fits} for gpu, plan, fits in _plans(model, here)],
    }


def _cells(model: Model, state: licences.State, here: list[Gpu]) -> tuple[str, ...]:
    gib = f"{_gib(model):.1f}" if model.weights else "–"
    return (
        model.slug, model.licence.name, str(state), gib, str(check.presence(model)), _plans_in_words(model, here)
    )  # fmt: skip


def _gib(model: Model) -> float:
    """What the catalog says of all that is pulled."""
    return (model.weights.gib if model.weights else 0) + sum(adapter.gib for adapter in model.adapters)


def _plans(model: Model, here: list[Gpu]) -> list[tuple[Gpu, str, bool]]:
    """The memory plan that a worker would take on each GPU, and whether the default size fits under it."""
    plans = [(gpu, fitting.plan_for(model, gpu.total_mib)) for gpu in here] if model.memory else []
    return [(gpu, plan, fitting.holds(model, plan, gpu.total_mib)) for gpu, plan in plans]


def _plans_in_words(model: Model, here: list[Gpu]) -> str:
    if not model.memory:
        return "–"
    plans = _plans(model, here)
    if not plans:
        return "no GPU"
    words = [f"{plan if fits else 'too small'} on {gpu.index}" for gpu, plan, fits in plans]
    return ", ".join(words)
