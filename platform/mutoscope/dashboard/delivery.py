"""The forms that a clip can be had in, as the create page lays them out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from assets.models import Asset
from assets.selectors import library
from billing.entitlements import Entitlements
from generation import limits
from generation.outputs.encoding import LOOPS, MASTER, PROFILES, QUALITIES, Profile
from generation.outputs.orders import OUTPUT_RATES, usual_format
from mutoscope.accounts.models import Workspace

LABELS = {"": "None", "boomerang": "There and back", "crossfade": "Cross-fade"}
RECENT_SOUNDS = 20


@dataclass(frozen=True, slots=True)
class FormatChoice:
    """A format, and why the plan does not have it; empty where it does."""

    profile: Profile
    reason: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """What can be chosen. `rule` says why some formats are not to be had; empty where all are."""

    formats: list[FormatChoice]
    rule: str
    is_unusual: bool
    """Something else is chosen than what is taken when nothing is said."""
    sounds: list[Asset]
    qualities: tuple[str, ...] = QUALITIES
    rates: tuple[int, ...] = OUTPUT_RATES
    loops: Mapping[str, str] = field(default_factory=lambda: {loop: LABELS[loop] for loop in ("", *LOOPS)})


def delivery(workspace: Workspace, plan: Entitlements, shown: Mapping[str, str]) -> Delivery:
    """The choices, where the form holds the values `shown`."""
    refusals = {slug: limits.without_format(plan, slug) for slug in PROFILES}
    formats = [
        FormatChoice(PROFILES[slug], refusal.message if refusal else "") for slug, refusal in refusals.items()
    ]
    usual = {"format": usual_format(plan), "quality": MASTER.quality, "output_fps": "", "loop": "", "sound": ""}
    sounds = library(workspace).filter(kind=Asset.Kind.AUDIO)
    recent = list(sounds[:RECENT_SOUNDS])
    if shown["sound"] and not any(str(sound.pk) == shown["sound"] for sound in recent):
        recent += sounds.filter(pk=shown["sound"])
    return Delivery(
        formats,
        f"{plan.source_of('output_formats')} has {', '.join(plan.output_formats)}"
        if any(refusals.values())
        else "",
        any(shown[name] != value for name, value in usual.items()),
        recent,
    )


def fitted(plan: Entitlements, values: Mapping[str, Any]) -> dict[str, Any]:
    """Of `values`, format and quality, with what the plan does not have replaced."""
    format_, quality = (str(values.get(name) or "") for name in ("format", "quality"))
    there = format_ in PROFILES and limits.without_format(plan, format_) is None
    return {
        "format": format_ if there else usual_format(plan),
        "quality": quality if quality in QUALITIES else MASTER.quality,
        "loop": values.get("loop") if values.get("loop") in LOOPS else "",
    }
