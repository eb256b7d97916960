"""The workspace's own visible mark: made, seen before it is kept, removed."""

from __future__ import annotations

import base64
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from billing.entitlements import entitlements_of
from generation.models import VisibleMark
from generation.outputs.visible import editing
from mutoscope.accounts.models import Workspace
from mutoscope.accounts.selectors import Access
from mutoscope.dashboard.forms import MarkForm
from mutoscope.dashboard.gate import MANAGE, Visit, workspace_page
from mutoscope.errors import Refusal

POSITIONS = [
    (VisibleMark.Position.TOP_LEFT, "Top left"),
    (VisibleMark.Position.TOP_RIGHT, "Top right"),
    (VisibleMark.Position.CENTER, "Middle"),
    (VisibleMark.Position.BOTTOM_LEFT, "Bottom left"),
    (VisibleMark.Position.BOTTOM_RIGHT, "Bottom right"),
]


@workspace_page(needs=MANAGE)
def mark(request: Visit, access: Access) -> HttpResponse:
    """The mark, as it is."""
    found = editing.mark_of(access.workspace)
    return _render(request, access, MarkForm(initial=MarkForm.initial_of(found)))


@workspace_page("POST", needs=MANAGE)
def save_mark(request: Visit, access: Access) -> HttpResponse:
    """Keep it as the form has it."""
    form = MarkForm(request.POST, request.FILES)
    if form.is_valid():
        try:
            kept = editing.set_mark(access, form.to_wish())
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            words = "From now on clips carry it." if kept.is_on else "It is off: clips are made without it."
            messages.info(request, f"The mark is kept. {words}")
            return redirect("dashboard:mark")
    return _render(request, access, form, status=422)


@workspace_page("POST", needs=MANAGE)
def preview_mark(request: Visit, access: Access) -> HttpResponse:
    """How it would look, were the form kept as it is now."""
    form = MarkForm(request.POST, request.FILES)
    return render(
        request, "dashboard/_mark_preview.html", {"picture": _preview(access.workspace, form), "form": form}
    )


@workspace_page("POST", needs=MANAGE)
def remove_mark(request: Visit, access: Access) -> HttpResponse:
    """Do away with it."""
    if editing.remove_mark(access):
        messages.info(request, "The mark is removed: clips are made without it.")
    return redirect("dashboard:mark")


def _preview(workspace: Workspace, form: MarkForm) -> str:
    """The preview as an address of its own, so that a picture that is not kept anywhere can be seen; or ""."""
    if not form.is_valid():
        return ""
    try:
        picture = editing.preview_of_wish(workspace, form.to_wish())
    except Refusal as refusal:
        form.refuse(refusal)
        return ""
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"


def _render(request: Visit, access: Access, form: MarkForm, status: int = 200) -> HttpResponse:
    found = editing.mark_of(access.workspace)
    shown = MarkForm(MarkForm.initial_of(found)) if not form.is_bound else form
    context: dict[str, Any] = {
        "form": form,
        "mark": found,
        "positions": POSITIONS,
        "plan": entitlements_of(access.workspace.pk),
        "picture": _preview(access.workspace, shown) if shown.is_valid() and (found or form.is_bound) else "",
    }
    return render(request, "dashboard/mark.html", context, status=status)
