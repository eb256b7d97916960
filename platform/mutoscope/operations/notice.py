"""What the admin says at the top of every page, because operators must not overlook it."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest


def of_signing(request: HttpRequest) -> list[str] | None:
    """Words and colour of django-unfold's label, where clips are signed in nobody's name."""
    if settings.C2PA_CERTIFICATE:
        return None
    return ["Clips signed for development only", "warning"]
