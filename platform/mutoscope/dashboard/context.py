"""What every page knows."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from billing.entitlements import entitlements_of
from billing.renewals import available
from mutoscope.accounts.models import User
from mutoscope.accounts.selectors import Access, access_by_session, workspaces_of


def workspace(request: HttpRequest) -> dict[str, Any]:
    """`access`: who is asking and in which workspace (None for visitors), what they may do, and where else.

    Nothing is asked of the database twice; `workspaces` and `credits_left` (None where the plan is not metered)
    only where a page shows them.
    """
    user = getattr(request, "user", None)
    if not isinstance(user, User):
        return {"access": None}
    if not hasattr(request, "access"):
        request.access = access_by_session(user, request.session)  # type: ignore[attr-defined]
    access: Access | None = request.access  # type: ignore[attr-defined]
    return {
        "access": access,
        "may_create": access is not None and access.allows("jobs:write"),
        "may_upload": access is not None and access.allows("assets:write"),
        "workspaces": workspaces_of(user),
        "credits_left": lambda: _credits_left(access),
    }


def _credits_left(access: Access | None) -> int | None:
    plan = entitlements_of(access.workspace.pk) if access else None
    return available(access.workspace.pk, plan) if access and plan and plan.is_metered else None
