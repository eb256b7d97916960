"""Clips in other forms: asking for them, following them, having them."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django_htmx.http import HttpResponseClientRefresh

from billing.entitlements import entitlements_of
from generation.outputs.renditions import asking
from generation.outputs.renditions.originals import Wish
from mutoscope.accounts.selectors import Access
from mutoscope.dashboard.downloads import rows, too_long, unmarking
from mutoscope.dashboard.gate import Visit, require, workspace_page


@workspace_page(needs="assets:read")
def downloads(request: Visit, access: Access, asset_id: UUID) -> HttpResponse:
    """Every format that the clip may be had in; live while something is made."""
    return _shown(request, access, asset_id)


@workspace_page("POST", needs="assets:write")
def make_rendition(request: Visit, access: Access, asset_id: UUID) -> HttpResponse:
    """Have the clip made in a format and quality."""
    asking.ask(access, asset_id, Wish(request.POST.get("format", ""), request.POST.get("quality", "")))
    return _shown(request, access, asset_id) if request.htmx else redirect("dashboard:downloads", asset_id)


@workspace_page("GET", "HEAD", "POST", needs="assets:read")
def reissue(request: Visit, access: Access, asset_id: UUID) -> HttpResponse:
    """The clip without its mark: asked for, and followed until its page shows it."""
    if request.method == "POST":
        require(access, "assets:write")
        asking.reissue(access, asset_id)
        if not request.htmx:
            messages.info(request, "The clip is made anew without the mark.")
            return redirect("dashboard:downloads", asset_id)
    clip = asking.clip_of(access.workspace, asset_id)
    standing = unmarking(clip, entitlements_of(access.workspace.pk))
    if standing is None:
        return HttpResponseClientRefresh()
    return render(request, "dashboard/_reissue.html", {"clip": clip, "unmarking": standing})


def _shown(request: Visit, access: Access, asset_id: UUID) -> HttpResponse:
    clip = asking.clip_of(access.workspace, asset_id)
    plan = entitlements_of(access.workspace.pk)
    found = rows(access.workspace, clip, plan)
    context = {
        "clip": clip,
        "rows": found,
        "plan": plan,
        "too_long": too_long(clip),
        "making": any(choice.is_open for row in found for choice in row.choices),
        "unmarking": unmarking(clip, plan),
    }
    return render(request, "dashboard/_downloads.html" if request.htmx else "dashboard/downloads.html", context)
