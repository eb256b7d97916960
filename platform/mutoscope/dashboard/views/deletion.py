"""Deleting one's account, and deleting a workspace: what goes is said first, and the password is asked for."""

from __future__ import annotations

from typing import Any

from allauth.core import ratelimit
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpResponse
from django.shortcuts import redirect, render

from generation.deletion import people, workspaces
from generation.deletion.contents import contents_of
from mutoscope.accounts.models import Membership, User
from mutoscope.accounts.selectors import Access
from mutoscope.accounts.services import ensure_personal_workspace
from mutoscope.dashboard.forms import GoodbyeForm
from mutoscope.dashboard.gate import Visit, person_page, workspace_page
from mutoscope.errors import Forbidden, Refusal


class WrongPassword(Refusal):
    """Whoever asks has not shown that they are the person who signed in."""

    code = "wrong_password"


@person_page("GET", "HEAD", "POST")
def delete_account(request: Visit, user: User) -> HttpResponse:
    """What goes with the account, and what stays; and the end of it."""
    form = GoodbyeForm(request.POST or None)
    if form.is_valid():
        try:
            _require_password(request, user, form.cleaned_data["password"])
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            people.delete(user)
            logout(request)
            return render(request, "dashboard/goodbye.html")
    context: dict[str, Any] = {
        "form": form,
        "theirs": [contents_of(workspace, user) for workspace in people.workspaces_of_theirs(user)],
        "left": people.workspaces_left(user),
    }
    return render(request, "dashboard/delete_account.html", context, status=422 if form.errors else 200)


@workspace_page("GET", "HEAD", "POST")
def delete_workspace(request: Visit, access: Access) -> HttpResponse:
    """What goes with the workspace; and the end of it. For owners."""
    user = access.user
    if user is None or access.role != Membership.Role.OWNER:
        raise Forbidden(f"only an owner of {access.workspace} may delete it", code="role_missing")
    form = GoodbyeForm(request.POST or None)
    if form.is_valid():
        try:
            _require_password(request, user, form.cleaned_data["password"])
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            workspaces.delete(access.workspace.pk)
            ensure_personal_workspace(user)  # else the person would be nowhere
            messages.info(request, f"{access.workspace} is deleted.")
            return redirect("dashboard:create")
    context = {"form": form, "contents": contents_of(access.workspace, user)}
    return render(request, "dashboard/delete_workspace.html", context, status=422 if form.errors else 200)


def _require_password(request: Visit, user: User, password: str) -> None:
    """Raises `WrongPassword`. Who has the session of somebody else cannot try passwords here either."""
    if not ratelimit.consume(request, action="reauthenticate", user=user):
        raise WrongPassword("there were too many tries; wait a minute", code="too_many_tries", field="password")
    if not user.check_password(password):
        raise WrongPassword("this is not your password, so nothing was deleted", field="password")
