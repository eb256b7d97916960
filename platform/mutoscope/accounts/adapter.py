"""How allauth makes and signs in our users."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from mutoscope.accounts import services


class AccountAdapter(DefaultAccountAdapter):
    """Closes sign-up where the operator wants it closed, and gives everybody a workspace."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return bool(settings.SIGNUP_OPEN)

    def post_login(self, request: HttpRequest, user: Any, **kwargs: Any) -> HttpResponse:
        services.ensure_personal_workspace(user)
        response: HttpResponse = super().post_login(request, user, **kwargs)
        return response
