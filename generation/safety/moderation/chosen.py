"""Which moderator this installation has chosen."""

from __future__ import annotations

import functools

from django.conf import settings
from django.utils.module_loading import import_string

from generation.safety.moderation.base import Moderator

BUILT_IN = {
    "rules": "generation.safety.moderation.terms.Terms",
    "nudity": "generation.safety.moderation.nudity.Nudity",
}
OFF = "off"


def moderator() -> Moderator | None:
    """The one that `MODERATION` names; None where it is off. Raises `ImportError` where there is none."""
    return None if settings.MODERATION == OFF else _made(settings.MODERATION)


@functools.cache
def _made(choice: str) -> Moderator:
    made: Moderator = import_string(BUILT_IN.get(choice, choice))()
    return made
