"""What a clip may be had as, row by row, and how far each is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from assets.models import Asset, Rendition
from billing.entitlements import Entitlements
from generation.errors import ImpossibleForm
from generation.limits import without_format
from generation.outputs.encoding import PROFILES, Form
from generation.outputs.renditions import asking
from generation.outputs.renditions.files import form_of
from generation.outputs.renditions.originals import NotAClip, Original, Wish
from mutoscope.accounts.models import Workspace


@dataclass(frozen=True, slots=True)
class Choice:
    """A quality of a format; `rendition` is what there is of it, or None."""

    quality: str
    rendition: Rendition | None

    @property
    def is_ready(self) -> bool:
        return self.rendition is not None and self.rendition.state == Rendition.State.READY

    @property
    def is_open(self) -> bool:
        return self.rendition is not None and self.rendition.state in Rendition.OPEN

    @property
    def failure(self) -> str:
        """Why it could not be made; "" where it was not tried, or may yet be."""
        failed = self.rendition is not None and self.rendition.state == Rendition.State.FAILED
        return self.rendition.error if self.rendition is not None and failed else ""


@dataclass(frozen=True, slots=True)
class Row:
    """A format, and the qualities that it comes in."""

    format: str
    name: str
    choices: list[Choice]


@dataclass(frozen=True, slots=True)
class Unmarking:
    """How it stands with the clip's mark: whether it may be had without, and its reissue if there is one."""

    may: bool
    rendition: Rendition | None

    @property
    def is_open(self) -> bool:
        return self.rendition is not None and self.rendition.state in Rendition.OPEN

    @property
    def failure(self) -> str:
        """Why the clip could not be made anew; "" where it was not tried."""
        return self.rendition.error if self.rendition is not None and not self.is_open else ""


def rows(workspace: Workspace, clip: Asset, plan: Entitlements) -> list[Row]:
    """The formats that the plan has and that the clip can be had in, each as the clip itself is but for that."""
    original = Original.of(clip)
    there = {form_of(found): found for found in asking.renditions_of(workspace, clip.pk)}
    found = []
    for slug, profile in PROFILES.items():
        if without_format(plan, slug) is None:
            forms = _forms(original, slug, profile.presets)
            choices = [Choice(form.quality, there.get(form)) for form in forms]
            found.append(Row(slug, profile.name, choices))
    return [row for row in found if row.choices]


def unmarking(clip: Asset, plan: Entitlements) -> Unmarking | None:
    """How it stands with the clip's mark; None where it has none."""
    if not clip.is_marked:
        return None
    return Unmarking(asking.may_reissue(clip, plan), asking.reissue_of(clip))


def too_long(clip: Asset) -> str:
    """Why the clip cannot be had in any other form; "" where it can."""
    try:
        Original.of(clip).check_length()
    except NotAClip as refusal:
        return refusal.message
    return ""


def _forms(original: Original, slug: str, qualities: Iterable[str]) -> list[Form]:
    try:
        return [original.complete(Wish(slug, quality)) for quality in qualities]
    except (ImpossibleForm, NotAClip):
        return []
