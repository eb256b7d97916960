"""Moderators for tests: plugged in by their dotted path, as an operator's own would be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from generation.safety.moderation.base import Action, Finding


class DarkPictures:
    """Wants dark pictures reviewed and black ones refused; and counts what it looks at."""

    name = "dark pictures 1"
    looked = 0

    def prompt(self, text: str) -> Sequence[Finding]:
        return []

    def picture(self, path: Path) -> Sequence[Finding]:
        type(self).looked += 1
        with Image.open(path) as picture:
            brightest = picture.convert("L").getextrema()[1]
        if brightest == 0:
            return [Finding(Action.REFUSE, "it is black", "brightest 0")]
        if brightest < 100:
            return [Finding(Action.REVIEW, "it is dark", f"brightest {brightest}")]
        return []


class Broken:
    """Never finds out."""

    name = "broken 1"

    def prompt(self, text: str) -> Sequence[Finding]:
        raise RuntimeError("the service is down")

    def picture(self, path: Path) -> Sequence[Finding]:
        raise RuntimeError("the service is down")
