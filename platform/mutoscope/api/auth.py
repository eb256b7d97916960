"""Who asks: a program with an API key, or a person with a session (the docs page in the browser)."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from mutoscope.accounts.models import ApiKey, User
from mutoscope.accounts.selectors import Access, access_by_key, access_by_session
from mutoscope.accounts.services import authenticate_key

REALM = 'Bearer realm="mutoscope"'


def key_of(header: str) -> ApiKey | None:
    """The live key in an `Authorization` header; None for anything else."""
    scheme, _, token = header.partition(" ")
    return authenticate_key(token.strip()) if scheme.lower() == "bearer" else None


class ApiKeyAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer muto_…`"""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Access] | None:
        header = request.headers.get("Authorization", "")
        if not header:
            return None
        key = key_of(header)
        if key is None:
            raise exceptions.AuthenticationFailed(
                "the API key is not valid: send Authorization: Bearer with a key that has not been revoked"
            )
        return AnonymousUser(), access_by_key(key)

    def authenticate_header(self, request: Request) -> str:
        return REALM


class SessionAuthentication(authentication.SessionAuthentication):
    """The session of a signed-in person, in the workspace they are in; writes need the CSRF token."""

    def authenticate(self, request: Request) -> tuple[User, Access] | None:
        found = super().authenticate(request)
        if found is None:
            return None
        user = found[0]
        access = access_by_session(user, request._request.session)
        return (user, access) if access else None

    def authenticate_header(self, request: Request) -> str:
        return REALM
