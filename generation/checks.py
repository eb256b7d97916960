"""System checks of the catalog: `manage.py check` names file, key, rule and value."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, register

from generation import catalog


@register
def catalog_is_valid(**kwargs: Any) -> list[CheckMessage]:
    """Every catalog file holds to the schema."""
    try:
        catalog.models()
    except catalog.CatalogError as error:
        return [
            Error(problem, hint="The schema is generation/catalog/schema.py.", id="generation.E001")
            for problem in error.problems
        ]
    return []
