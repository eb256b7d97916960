"""The library: pictures and clips."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from assets import services
from assets.models import Asset
from assets.selectors import asset_of
from assets.selectors import library as assets_of
from assets.storage import media
from mutoscope.accounts.selectors import Access
from mutoscope.dashboard.gate import Visit, workspace_page
from mutoscope.dashboard.paging import page_of

FILTERS = {"": "All", Asset.Kind.IMAGE.value: "Pictures", Asset.Kind.VIDEO.value: "Clips"}


@workspace_page(needs="assets:read")
def library(request: Visit, access: Access) -> HttpResponse:
    """Every asset of the workspace, newest first."""
    chosen = request.GET.get("kind", "")
    chosen = chosen if chosen in FILTERS else ""
    found = assets_of(access.workspace).select_related("made_by")
    if chosen:
        found = found.filter(kind=chosen)
    page = page_of(found, request.GET)
    context = {"page": page, "assets": page.rows, "chosen": chosen, "filters": FILTERS.items()}
    return render(request, "dashboard/_assets.html" if request.htmx else "dashboard/library.html", context)


@workspace_page(needs="assets:read")
def asset_file(request: Visit, access: Access, asset_id: UUID) -> HttpResponse:
    """On to a fresh link: a page may be open for longer than its links live.

    `?as=thumbnail` leads to the small picture, `?as=download` to the file for saving.
    """
    asset = asset_of(access.workspace, asset_id)
    wanted = request.GET.get("as", "")
    if wanted == "download":
        return redirect(media().download_url(asset.file.name, asset.file_name))
    return redirect((asset.thumbnail if wanted == "thumbnail" and asset.thumbnail else asset.file).url)


@workspace_page("POST", needs="assets:write")
def delete_asset(request: Visit, access: Access, asset_id: UUID) -> HttpResponse:
    """Take it out of the library for good."""
    services.delete(access, asset_id)
    if request.htmx:
        return HttpResponse()  # the card gives way to nothing
    messages.info(request, "It is deleted.")
    return redirect("dashboard:library")
