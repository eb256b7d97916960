"""System checks of the catalog, moderation, portraits, and what clips are signed with: the rule and the value."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Caution

from generation import catalog
from generation.outputs.encoding import hardware
from generation.safety.moderation import nudity
from generation.safety.moderation.chosen import BUILT_IN, moderator
from generation.safety.portrait import networks


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
def moderator_is_there(**kwargs: Any) -> list[CheckMessage]:
    """The chosen moderator can be made: else every submission would be refused."""
    try:
        chosen = moderator()
        if isinstance(chosen, nudity.Nudity):
            nudity.model_file()
    except (ImportError, FileNotFoundError, TypeError) as error:
        return [
            Error(
                f"MODERATION is {settings.MODERATION!r}, which cannot be used: {error}",
                hint=f"It may be off, {', '.join(BUILT_IN)}, or the dotted path of a class without arguments.",
                id="generation.E004",
            )
        ]
    return []


@register
def portraits_can_be_checked(**kwargs: Any) -> list[CheckMessage]:
    """The models of the check are there where the catalog has a model that needs portraits."""
    try:
        needing = [model.slug for model in catalog.models().values() if model.needs_portrait]
        if needing:
            for name in networks.FILES:
                networks.model_file(name)
    except catalog.CatalogError:
        pass  # told above
    except FileNotFoundError as error:
        return [Error(f"{needing[0]} needs portraits, which cannot be checked: {error}", id="generation.E006")]
    return []


@register
def clips_can_be_signed(**kwargs: Any) -> list[CheckMessage]:
    """A certificate that an operator installed must do: clips are never left unsigned in silence."""
    if not (settings.C2PA_CERTIFICATE or settings.C2PA_PRIVATE_KEY):
        return []
    # Only here: cryptography takes its time to load, and processes that sign nothing have no need of it.
    from generation.outputs.provenance.identity import BadIdentity, signing_identity, warning_about

    try:
        warning = warning_about(signing_identity())
    except BadIdentity as error:
        return [Error(str(error), hint="See docs/provenance.md.", id="generation.E003")]
    return [Caution(warning, id="generation.W001")] if warning else []


@register(Tags.security, deploy=True)
def clips_are_signed_in_a_name(**kwargs: Any) -> list[CheckMessage]:
    """Without a certificate, clips say that somebody made them, but nobody can know who."""
    if settings.C2PA_CERTIFICATE or settings.C2PA_PRIVATE_KEY:
        return []  # looked at above
    return [
        Caution(
            "C2PA_CERTIFICATE is not set: each machine signs clips with a certificate of its own making, "
            "which nobody else trusts",
            hint="See docs/provenance.md.",
            id="generation.W002",
        )
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
            id="generation.E005",
        )
    ]
