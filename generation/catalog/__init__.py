"""The catalog: one TOML file a model, read once and checked in full.

Operators add models of their own in the folders that the setting `CATALOG_FOLDERS` names.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from django.conf import settings
from pydantic import ValidationError

from generation.catalog.schema import Model

SHIPPED = Path(__file__).parent


class CatalogError(Exception):
    """Catalog files break rules; each of `problems` names the file, the key, the rule and the value."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


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
                model = Model.model_validate(tomllib.loads(path.read_text("utf-8")))
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                problems.append(f"{path.name}: not TOML: {error}")
            except ValidationError as error:
                problems += [_sentence(path, line["loc"], line["msg"], line["input"]) for line in error.errors()]
            else:
                if model.slug != path.stem:
                    problems.append(_sentence(path, ("slug",), "must be the file's name", model.slug))
                elif model.slug in found:
                    problems.append(_sentence(path, ("slug",), "must not stand in two folders", model.slug))
                found[model.slug] = model
    if problems:
        raise CatalogError(problems)
    return found


def _sentence(path: Path, key: tuple[int | str, ...], rule: str, value: object) -> str:
    where = ".".join(str(part) for part in key) or "the whole file"
    given = "" if isinstance(value, dict) else f", but is {value!r}"
    return f"{path.name}: {where}: {rule}{given}"
