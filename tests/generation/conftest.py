"""Models that one test puts into the catalog."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from generation import catalog
from generation.catalog.schema import Model

AddModel = Callable[[str], Model]


@pytest.fixture
def add_model(tmp_path: Path, settings: Any) -> Iterator[AddModel]:
    """Puts a catalog file into a folder of the operator's; one of the same slug takes its place."""
    before = list(settings.CATALOG_FOLDERS)
    folder = tmp_path / "catalog"
    folder.mkdir()
    settings.CATALOG_FOLDERS = [*before, str(folder)]

    def add(text: str) -> Model:
        slug = tomllib.loads(text)["slug"]
        (folder / f"{slug}.toml").write_text(text)
        catalog.models.cache_clear()
        return catalog.models()[slug]

    yield add
    settings.CATALOG_FOLDERS = before
    catalog.models.cache_clear()
