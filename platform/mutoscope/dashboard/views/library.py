"""The library: pictures and clips, and the trash."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from assets import trash
from assets.models import Asset
from assets.selectors import asset_of
from assets.selectors import library as assets_of
from assets.storage import media
from billing.entitlements import entitlements_of
from generation import retention
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

    `?as=thumbnail` leads to the small picture, `?as=trashed` to that of what is in the trash, `?as=download` to
    the file for saving.
    """
    wanted = request.GET.get("as", "")
    asset = (trash.trashed if wanted == "trashed" else asset_of)(access.workspace, asset_id)
    if wanted == "download":
        return redirect(media().download_url(asset.file.name, asset.file_name))
    is_small = wanted in {"thumbnail", "trashed"} and asset.thumbnail
    return redirect((asset.thumbnail if is_small else asset.file).url)


@workspace_page("POST", needs="assets:write")
def delete_asset(request: Visit, access: Access, asset_id: UUID) -> HttpResponse:
    """Put it into the trash."""
    trash.delete(access, asset_id)
    if request.htmx:
        return HttpResponse()  # the card gives way to nothing
    messages.info(request, "It is in the trash, where it can be restored for a while.")
    return redirect("dashboard:library")


@workspace_page(needs="assets:read")
def trash_page(request: Visit, access: Access) -> HttpResponse:
    """What was deleted and can be restored, and when each will be gone."""
    page = page_of(trash.trash(access.workspace), request.GET)
    plan = entitlements_of(access.workspace.pk)
    context = {
        "page": page,
        "assets": [(asset, retention.kept_until(asset, plan)) for asset in page.rows],
        "days": settings.TRASH_LIFETIME.days,
        "retention_days": plan.retention_days,
        "has_room": plan.storage_mib is not None,
    }
    return render(request, "dashboard/_trash.html" if request.htmx else "dashboard/trash.html", context)


@workspace_page("POST", needs="assets:write")
def restore_asset(request: Visit, access: Access, asset_id: UUID) -> HttpResponse:
    """Put it back into the library."""
    asset = retention.restore(access, asset_id)
    if request.htmx:
        return HttpResponse()
    messages.info(request, f"{asset.name} is back in the library.")
    return redirect("dashboard:trash")


@workspace_page("POST", needs="assets:write")
def discard_asset(request: Visit, access: Access, asset_id: UUID) -> HttpResponse:
    """Have it go for good."""
    trash.delete(access, asset_id, now=True)
    if request.htmx:
        return HttpResponse()
    messages.info(request, "It is gone for good.")
    return redirect("dashboard:trash")


@workspace_page("POST", needs="assets:write")
def empty_trash(request: Visit, access: Access) -> HttpResponse:
    """Have all that lies in the trash go for good."""
    gone = trash.empty(access.workspace)
    messages.info(request, f"{gone} file{'' if gone == 1 else 's'} gone for good.")
    return redirect("dashboard:trash")
