"""System checks of the catalog: `manage.py check` names file, key, rule and value."""

from __future__ import annotations

from typing import Any

from django.conf import settings
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


@register
def offered_models_exist(**kwargs: Any) -> list[CheckMessage]:
    """The setting names models of the catalog; a slip of the keyboard would otherwise go unnoticed."""
    try:
        known = catalog.models()
    except catalog.CatalogError:
        return []  # told above
    return [
        Error(
            f"OFFERED_MODELS must name models of the catalog, but names {slug!r}",
            hint=f"There are {', '.join(known)}.",
            id="generation.E002",
        )
        for slug in settings.OFFERED_MODELS
        if slug not in known
    ]
