"""Files for the library: straight to the storage where the page has scripts, by a plain form where it has not."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render

from assets import uploads as direct
from assets.models import Asset, Upload
from assets.selectors import upload_of
from assets.upload_shapes import announced, fresh_links
from generation import uploads
from mutoscope.accounts.selectors import Access
from mutoscope.dashboard.forms import AnnouncementForm
from mutoscope.dashboard.gate import Visit, workspace_page
from mutoscope.errors import Refusal


@workspace_page("POST", needs="assets:write")
def upload(request: Visit, access: Access) -> HttpResponse:
    """Small files from a form, for pages without scripts."""
    files = request.FILES.getlist("file")
    for file in files:
        try:
            uploads.upload(access, file)
        except Refusal as refusal:
            messages.error(request, f"{file.name}: {refusal.message}")
    if not files:
        messages.error(request, "choose a file first")
    return redirect("dashboard:library")


@workspace_page("POST", needs="assets:write")
def announce(request: Visit, access: Access) -> HttpResponse:
    """Where the page is to send the parts of a file."""
    form = AnnouncementForm(request.POST)
    return JsonResponse(announced(uploads.announce(access, **form.announcement())), status=201)


@workspace_page("POST", needs="assets:write")
def parts(request: Visit, access: Access, upload_id: UUID) -> HttpResponse:
    """Fresh links for the parts that have not arrived."""
    return JsonResponse(fresh_links(*direct.parts_to_send(access, upload_id)))


@workspace_page("POST", needs="assets:write")
def complete(request: Visit, access: Access, upload_id: UUID) -> HttpResponse:
    """Every part was sent."""
    uploads.complete(access, upload_id)
    return HttpResponse(status=202)


@workspace_page("POST", needs="assets:write")
def abandon(request: Visit, access: Access, upload_id: UUID) -> HttpResponse:
    """The person changed their mind, or left the page."""
    direct.abandon(access, upload_id)
    return HttpResponse(status=204)


@workspace_page(needs="assets:write")
def outcome(request: Visit, access: Access, upload_id: UUID) -> HttpResponse:
    """What became of it, as a fragment: a card for the library page, a choice for the create page.

    204 for as long as nothing has; 422 where it was refused.
    """
    found = upload_of(access.workspace, upload_id)
    if found.state in Upload.UNDER_WAY:
        return HttpResponse(status=204)
    refusals = [f"{found.name}: {found.error}"] if found.error else []
    asset = found.asset
    if not asset and not refusals:
        refusals = [f"{found.name}: the upload was given up"]
    template = "dashboard/_uploaded.html"
    if request.GET.get("into") == "form":
        template = "dashboard/_picked.html"
        if asset and asset.kind != Asset.Kind.IMAGE:
            refusals.append(f"{asset.name} is kept in the library, but it is no picture")
            asset = None
    context = {"assets": [asset] if asset else [], "picture": asset, "refusals": refusals}
    return render(request, template, context, status=200 if asset else 422)
