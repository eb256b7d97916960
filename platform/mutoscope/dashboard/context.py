"""What every page knows."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from mutoscope.accounts.models import User
from mutoscope.accounts.selectors import access_by_session


def workspace(request: HttpRequest) -> dict[str, Any]:
    """`access`: who is asking and in which workspace; None for visitors."""
    if not isinstance(getattr(request, "user", None), User):
        return {"access": None}
    return {"access": access_by_session(request.user, request.session)}  # type: ignore[arg-type]
