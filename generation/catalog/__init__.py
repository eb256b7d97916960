"""The catalog: one TOML file a model, read once and checked in full.

Operators add models of their own in the folders that the setting `CATALOG_FOLDERS` names.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from django.conf import settings

from generation.catalog.schema import Model
from mutoscope import tables
from mutoscope.tables import TableError, problem

SHIPPED = Path(__file__).parent


class CatalogError(TableError):
    """Catalog files break rules."""


@cache
def models() -> Mapping[str, Model]:
    """Every model by its slug, in the order of file names. Raises `CatalogError`."""
    return MappingProxyType(read([SHIPPED, *(Path(folder) for folder in settings.CATALOG_FOLDERS)]))


def read(folders: list[Path]) -> dict[str, Model]:
    """Read and check every TOML file in the folders. Raises `CatalogError` with all problems at once."""
    found: dict[str, Model] = {}
    problems: list[str] = []
    for folder in folders:
        if not folder.is_dir():
            problems.append(f"{folder}: CATALOG_FOLDERS must name folders, but this is none")
        for path in sorted(folder.glob("*.toml")):
            try:
                model = tables.read(path, Model)
            except TableError as error:
                problems += error.problems
            else:
                if model.slug != path.stem:
                    problems.append(problem(path, ("slug",), "must be the file's name", model.slug))
                elif model.slug in found:
                    problems.append(problem(path, ("slug",), "must not stand in two folders", model.slug))
                found[model.slug] = model
    if problems:
        raise CatalogError(problems)
    return found
