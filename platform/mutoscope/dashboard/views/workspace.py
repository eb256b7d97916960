"""The workspace: its API keys, and changing to another one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from mutoscope.accounts import selectors, services
from mutoscope.accounts.models import ApiKey, User
from mutoscope.accounts.selectors import Access
from mutoscope.dashboard.forms import KeyForm
from mutoscope.dashboard.gate import MANAGE, Visit, workspace_page
from mutoscope.errors import NotFound, Refusal

SCOPES = {
    ApiKey.Scope.ASSETS_READ: "See and download pictures and clips",
    ApiKey.Scope.ASSETS_WRITE: "Upload and delete pictures and clips",
    ApiKey.Scope.JOBS_READ: "See jobs and follow them",
    ApiKey.Scope.JOBS_WRITE: "Submit and cancel jobs",
}


@workspace_page(needs=MANAGE)
def keys(request: Visit, access: Access) -> HttpResponse:
    """The workspace's API keys."""
    return _render(request, access, KeyForm(initial={"scopes": list(ApiKey.Scope.values)}))


@workspace_page("POST", needs=MANAGE)
def create_key(request: Visit, access: Access) -> HttpResponse:
    """A new key. Its token is in this one answer and nowhere else: it is neither kept nor redirected to."""
    form = KeyForm(request.POST)
    if form.is_valid():
        try:
            key, token = services.create_api_key(
                access.workspace,
                name=form.cleaned_data["name"],
                scopes=form.cleaned_data["scopes"],
                created_by=access.user,
            )
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            fresh = KeyForm(initial={"scopes": list(ApiKey.Scope.values)})
            return _render(request, access, fresh, new_key=key, token=token)
    return _render(request, access, form, status=422)


@workspace_page("POST", needs=MANAGE)
def revoke_key(request: Visit, access: Access, key_id: UUID) -> HttpResponse:
    """Make a key worthless."""
    key = selectors.api_key(access.workspace, key_id)
    if services.revoke_api_key(key):
        messages.info(request, f"The key {key.name} is revoked: nothing can use it any more.")
    return redirect("dashboard:keys")


@workspace_page("POST")
def switch_workspace(request: Visit, access: Access) -> HttpResponse:
    """Work in another of one's workspaces from now on."""
    try:
        workspace_id = UUID(request.POST.get("workspace", ""))
    except ValueError as error:
        raise NotFound("choose one of your workspaces") from error
    if isinstance(access.user, User):
        workspace = selectors.workspace_of(access.user, workspace_id)
        request.session[selectors.SESSION_WORKSPACE] = str(workspace.pk)
    return redirect("dashboard:create")


def _render(request: Visit, access: Access, form: KeyForm, status: int = 200, **more: Any) -> HttpResponse:
    chosen = form["scopes"].value() or []
    context = {
        "form": form,
        "keys": selectors.api_keys(access.workspace),
        "scopes": [(scope.value, meaning, scope.value in chosen) for scope, meaning in SCOPES.items()],
        **more,
    }
    return render(request, "dashboard/keys.html", context, status=status)
