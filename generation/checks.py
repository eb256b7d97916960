"""System checks of the catalog: `manage.py check` names file, key, rule and value."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from generation import catalog
from generation.outputs.encoding import hardware


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


@register
def video_encoders_exist(**kwargs: Any) -> list[CheckMessage]:
    """The setting is one word, or kinds of hardware that are known here."""
    named: list[str] = settings.VIDEO_ENCODERS
    if named in ([hardware.AUTO], [hardware.SOFTWARE]):
        return []
    unknown = [name for name in named if name not in hardware.FAMILIES]
    if named and not unknown:
        return []
    known = ", ".join(hardware.FAMILIES)
    return [
        Error(
            f"VIDEO_ENCODERS must be {hardware.AUTO}, {hardware.SOFTWARE} or some of {known}, "
            f"but is {','.join(named)!r}",
            hint="docs/outputs.md says what each does.",
            id="generation.E003",
        )
    ]
