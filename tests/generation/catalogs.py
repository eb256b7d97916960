"""Catalogs for one test: models that are like the tests' own, but for what the test is about."""

from __future__ import annotations

from typing import Any

import pytest

from generation import catalog
from generation.catalog.schema import Model

SOME_WEIGHTS = {"folder": "/srv/weights", "gib": 1}


def like(slug: str, /, **changes: Any) -> Model:
    """A model of the catalog with some of it changed, checked as a file would be."""
    return Model.model_validate({**catalog.models()[slug].model_dump(), **changes})


def add(monkeypatch: pytest.MonkeyPatch, *models: Model) -> None:
    """Have these in the catalog too, for the test."""
    known = {**catalog.models(), **{model.slug: model for model in models}}
    monkeypatch.setattr(catalog, "models", lambda: known)
