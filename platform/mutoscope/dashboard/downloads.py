"""What a clip may be had as, row by row, and how far each is."""

from __future__ import annotations

from dataclasses import dataclass

from assets.models import Asset, Rendition
from billing.entitlements import Entitlements
from generation.errors import ImpossibleForm, InvalidJob
from generation.limits import without_format
from generation.outputs.encoding import PROFILES, Form
from generation.outputs.renditions import asking
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
    """How the clip stands with its visible mark: whether the plan has it without, and the reissue if there is one."""

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
    """The formats that the plan has and that the clip can be had in, as it is: size, rate and length untouched."""
    as_it_is = asking.renditions_of(workspace, clip.pk).filter(fps=None, width=None, loop="")
    there = {(found.format, found.quality): found for found in as_it_is}
    return [
        Row(slug, profile.name, [Choice(quality, there.get((slug, quality))) for quality in profile.presets])
        for slug, profile in PROFILES.items()
        if without_format(plan, slug) is None and _can_be(clip, slug)
    ]


def unmarking(clip: Asset, plan: Entitlements) -> Unmarking | None:
    """How it stands with the clip's mark; None where it has none."""
    if not clip.is_marked:
        return None
    return Unmarking(asking.may_reissue(clip, plan), asking.reissue_of(clip))


def too_long(clip: Asset) -> str:
    """Why the clip cannot be had in any other form; "" where it can."""
    try:
        asking.complete(clip, Form())
    except ImpossibleForm:
        return ""  # one format's own matter
    except InvalidJob as refusal:
        return refusal.message
    return ""


def _can_be(clip: Asset, slug: str) -> bool:
    try:
        asking.complete(clip, Form(slug))
    except InvalidJob:
        return False
    return True
