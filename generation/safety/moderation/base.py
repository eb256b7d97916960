"""What a moderator is: it looks at words and pictures and says what it found. What follows is not its business."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class Action(StrEnum):
    """What follows from a finding."""

    REFUSE = "refuse"
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was found in a prompt or picture."""

    action: Action
    what: str
    """For the person who asked: the end of the sentence "it may not be used because …"."""
    detail: str
    """For operators: what exactly, with figures."""


class Moderator(Protocol):
    """Looks at prompts and pictures.

    A moderator SHALL have a `name` that changes whenever its findings may: results for pictures are kept under it.
    It SHALL be safe to call from several threads, SHALL NOT keep what it is shown, and SHALL raise on any failure
    rather than find nothing. It MAY be slow with pictures: each is looked at once.
    """

    name: str

    def prompt(self, text: str) -> Sequence[Finding]:
        """What is found in a prompt, as it was typed."""

    def picture(self, path: Path) -> Sequence[Finding]:
        """What is found in a picture: an upright JPEG, PNG or WebP without metadata, on local disk."""
