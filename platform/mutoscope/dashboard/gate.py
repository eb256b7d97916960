"""What stands before every page of the dashboard: who may enter, and what a refusal looks like.

The one place where roles are checked and where a `Refusal` that no form takes becomes a page or a message.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from mutoscope.accounts.models import User
from mutoscope.accounts.selectors import Access, access_by_session
from mutoscope.errors import Forbidden, NotFound, Refusal

P = ParamSpec("P")

MANAGE = "manage"
"""Stands for what managers and owners may do, beside the scopes that keys have too."""


class Visit(HttpRequest):
    """A request as our middleware and this gate leave it."""

    htmx: HtmxDetails
    access: Access | None


View = Callable[Concatenate[Visit, Access, P], HttpResponseBase]


def workspace_page(*methods: str, needs: str = "") -> Callable[[View[P]], Callable[..., HttpResponseBase]]:
    """Makes a page of a view `(request, access, …)`.

    It is for signed-in people, in the workspace they chose, who have the right `needs`; `methods` are GET and
    HEAD where none are named.
    """

    def decorate(view: View[P]) -> Callable[..., HttpResponseBase]:
        @never_cache
        @require_http_methods(methods or ("GET", "HEAD"))
        @wraps(view)
        def gate(request: Visit, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not isinstance(request.user, User):
                return _to_sign_in(request)
            access = request.access = access_by_session(request.user, request.session)
            if access is None:
                return render(request, "dashboard/no_workspace.html", status=403)
            try:
                require(access, needs)
                return view(request, access, *args, **kwargs)
            except Refusal as refusal:
                return refused(request, refusal)

        return gate

    return decorate


def person_page(
    *methods: str,
) -> Callable[[Callable[[Visit, User], HttpResponseBase]], Callable[[Visit], HttpResponseBase]]:
    """Makes a page of a view `(request, user)`, for signed-in people, be they in a workspace or not."""

    def decorate(view: Callable[[Visit, User], HttpResponseBase]) -> Callable[[Visit], HttpResponseBase]:
        @never_cache
        @require_http_methods(methods)
        @wraps(view)
        def gate(request: Visit) -> HttpResponseBase:
            return view(request, request.user) if isinstance(request.user, User) else _to_sign_in(request)

        return gate

    return decorate


def may(access: Access, right: str) -> bool:
    """Whether the person has a scope, or `MANAGE`."""
    return access.manages if right == MANAGE else access.allows(right)


def require(access: Access, right: str) -> None:
    """Raises `Forbidden` where the person lacks the right; no right is needed for ""."""
    if right and not may(access, right):
        raise Forbidden(
            f"the role {access.role} in {access.workspace} may not do this; ask an owner of the workspace",
            code="role_missing",
        )


def refused(request: Visit, refusal: Refusal) -> HttpResponse:
    """The refusal as a sentence (htmx shows it as a toast), as a page, or as a message on the page before."""
    if request.htmx:
        return HttpResponse(refusal.message, content_type="text/plain; charset=utf-8", status=refusal.status)
    if isinstance(refusal, NotFound | Forbidden):
        context = {"message": refusal.message}
        return render(request, f"{refusal.status}.html", context, status=refusal.status)
    messages.error(request, refusal.message)
    return redirect(_page_before(request))


def _to_sign_in(request: Visit) -> HttpResponse:
    if request.htmx:
        # A redirect would put the sign-in page inside the fragment that was asked for.
        sign_in = redirect_to_login(request.htmx.current_url_abs_path or "/")
        return HttpResponseClientRedirect(sign_in.url)
    return redirect_to_login(request.get_full_path() if request.method == "GET" else "/")


def _page_before(request: HttpRequest) -> str:
    before = request.headers.get("Referer", "")
    if url_has_allowed_host_and_scheme(before, {request.get_host()}, require_https=request.is_secure()):
        return before
    return "dashboard:library"
