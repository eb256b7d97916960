"""The platform as the benchmarks run it: in `var/bench/`, with a model whose engine does nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

os.environ["MUTOSCOPE_VAR"] = str(Path(__file__).resolve().parents[1] / "var" / "bench")
os.environ["CATALOG_FOLDERS"] = str(Path(__file__).parent / "catalog")
os.environ["LOG_LEVEL"] = "WARNING"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mutoscope.settings")

if TYPE_CHECKING:
    from mutoscope.stack import Stack


@contextmanager
def database_alone() -> Iterator[None]:
    """The services with Django set up and the database migrated, and no process of the platform's."""
    from mutoscope import embedded

    with embedded.services():
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        yield


@contextmanager
def platform_running(port: int, models: Sequence[str] = ("null",)) -> Iterator[Stack]:
    """Services, web, upkeep, and a worker for each of the models."""
    from mutoscope import embedded

    with embedded.services():
        import django

        django.setup()
        from mutoscope import stack

        with stack.running(port, models=list(models)) as platform:
            yield platform
