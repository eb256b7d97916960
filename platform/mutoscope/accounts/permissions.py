"""The one rule about who may call an API view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from mutoscope.accounts.selectors import Access
from mutoscope.errors import Forbidden

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which itself imports this module, by the settings


def access(request: Request) -> Access:
    """Who is asking and where; set by the authentication classes before any view runs."""
    found = request.auth
    if not isinstance(found, Access):
        raise TypeError("this view is open to everybody, so there is no workspace to ask about")
    return found


class MayUseWorkspace(BasePermission):
    """Authenticated, and the role's or the key's scopes cover the view.

    A view says what it needs as `scopes = {"read": "jobs:read", "write": "jobs:write"}`; without that, being
    in the workspace is enough.
    """

    kinds: ClassVar[dict[bool, str]] = {True: "read", False: "write"}

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not isinstance(request.auth, Access):
            return False
        wanted: dict[str, str] = getattr(view, "scopes", {})
        scope: Any = wanted.get(self.kinds[request.method in SAFE_METHODS])
        if scope and not request.auth.allows(scope):
            raise Forbidden(
                f"this needs the scope {scope}, but {_who(request.auth)} has "
                f"{', '.join(sorted(request.auth.scopes)) or 'none'}",
                code="scope_missing",
                scope=scope,
            )
        return True


class ForOperators(BasePermission):
    """An operator's session, or an API key that somebody made who is an operator still.

    Keys belong to workspaces and have no person; who made them is all that tells an operator's from others.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        found = access(request)
        person = found.key.created_by if found.key else found.user
        if person is None or not (person.is_staff and person.is_active):
            raise Forbidden(
                f"this is for operators: their session, or an API key that one of them made; "
                f"{_who(found)} is neither",
                code="operators_only",
            )
        return True


def _who(access: Access) -> str:
    return f"the key {access.key.prefix}…" if access.key else f"the role {access.role}"
