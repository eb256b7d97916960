"""Whether a picture will do as a portrait: on the create page and in the library."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from assets.models import Asset
from assets.selectors import asset_of
from generation import catalog
from generation.catalog.schema import Mode, Model
from generation.safety.portrait.base import Portrait, Verdict
from generation.safety.portrait.gate import portrait_of
from mutoscope.accounts.selectors import Access
from mutoscope.dashboard.gate import Visit, workspace_page
from mutoscope.dashboard.paging import as_id
from mutoscope.errors import Refusal

HEADLINES = {
    Verdict.GOOD: "It will do as a portrait.",
    Verdict.USABLE: "It will do as a portrait, but a better one gives a better clip.",
    Verdict.REFUSED: "It will not do as a portrait.",
}


@workspace_page(needs="jobs:write")
def needed_portrait(request: Visit, access: Access) -> HttpResponse:
    """For the form as it stands: nothing, where the model needs no portrait or there is no picture yet."""
    asked = request.GET
    model = catalog.models().get(asked.get("model", ""))
    context = {}
    if model and asked.get("picture") and asked.get("mode") != Mode.TEXT_TO_VIDEO:
        try:
            context = words_for(model, asset_of(access.workspace, as_id(asked["picture"])))
        except Refusal as refusal:
            context = {"portrait_refusal": refusal.message}
    return render(request, "dashboard/_portrait.html", context)


@workspace_page("POST", needs="assets:write")
def check_portrait(request: Visit, access: Access, asset_id: UUID) -> HttpResponse:
    """Look at a picture of the library; what is found is kept with it."""
    picture = asset_of(access.workspace, asset_id)
    portrait = portrait_of(picture)
    if request.htmx:
        return render(request, "dashboard/_portrait.html", _words(portrait))
    sentences = [HEADLINES[portrait.verdict], *(f"{reason.message}." for reason in portrait.reasons)]
    level = messages.ERROR if portrait.verdict == Verdict.REFUSED else messages.INFO
    messages.add_message(request, level, f"{picture.name}: {' '.join(sentences)}")
    return redirect("dashboard:library")


def words_for(model: Model, picture: Asset | None) -> dict[str, object]:
    """What `_portrait.html` shows under a chosen picture. Raises as `portrait_of`."""
    if not model.needs_portrait or picture is None:
        return {}
    return _words(portrait_of(picture))


def _words(portrait: Portrait) -> dict[str, object]:
    return {"portrait": portrait, "headline": HEADLINES[portrait.verdict]}
