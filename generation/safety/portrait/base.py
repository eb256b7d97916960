"""What the portrait check finds out, and how it is kept with the picture."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self


class Severity(StrEnum):
    """What a reason means for whoever wants to animate the picture."""

    REFUSE = "refuse"
    ADVISE = "advise"


class Verdict(StrEnum):
    """Whether the picture will do: without reserve, with advice, or not."""

    GOOD = "good"
    USABLE = "usable"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Reason:
    """A rule that the picture does not hold to: `message` states the rule and the value."""

    code: str
    message: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class FaceFigures:
    """Of one face. Boxes are (left, top, width, height) in pixels of the picture; angles in degrees."""

    box: tuple[int, int, int, int]
    head: tuple[int, int, int, int]
    """The face's box with hair, ears and neck, as far as it is inside the picture."""
    share: float
    """Of the picture's area, 0 to 1."""
    inside: float
    """Share of the face that is inside the picture."""
    yaw: float
    """Turned towards the picture's right (below 0: left)."""
    pitch: float
    """Downwards (below 0: upwards)."""
    roll: float
    """Tilted clockwise."""
    contrast: float
    """Light of the brighter half of the face over the darker one's, 1 and up."""
    light: float
    """Mean luminance, 0 to 1, linear."""
    burnt: float
    """Share of the face that is plain white."""
    black: float
    """Share of the face that is plain black."""
    sharpness: float
    """Variance of the brightness' Laplacian over its variance, at most 256 pixels high."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of the whole picture: its size in pixels, how many faces, and the largest one's figures."""

    width: int
    height: int
    faces: int
    face: FaceFigures | None = None


@dataclass(frozen=True, slots=True)
class Portrait:
    """Whether a picture will do as a portrait, why not, and what was measured."""

    verdict: Verdict
    reasons: tuple[Reason, ...]
    figures: Figures

    @property
    def refusals(self) -> list[Reason]:
        """The reasons that keep it from being animated."""
        return [reason for reason in self.reasons if reason.severity == Severity.REFUSE]

    def as_kept(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def from_kept(cls, kept: dict[str, Any]) -> Self:
        """From what `as_kept` gave, once it has been JSON."""
        figures = dict(kept["figures"])
        face = figures.pop("face")
        if face:
            face = FaceFigures(**{**face, "box": tuple(face["box"]), "head": tuple(face["head"])})
        reasons = tuple(
            Reason(found["code"], found["message"], Severity(found["severity"])) for found in kept["reasons"]
        )
        return cls(Verdict(kept["verdict"]), reasons, Figures(**figures, face=face))
