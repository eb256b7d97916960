"""Create: a picture, a model, a prompt, go."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render

from assets import services as assets
from assets.models import Asset
from assets.selectors import library
from billing.selectors import plan_of
from generation import selectors, services
from mutoscope.accounts.selectors import Access
from mutoscope.dashboard import choices
from mutoscope.dashboard.forms import CreateForm
from mutoscope.dashboard.gate import Visit, may, require, workspace_page
from mutoscope.dashboard.paging import as_id
from mutoscope.errors import NotFound, Refusal

RECENT_PICTURES = 11

_LIKE = ("model", "mode", "size", "seconds", "fps", "prompt", "negative_prompt", "steps", "guidance", "tier")
"""What "make another like this" takes over. The seed is left out: with it, the clip would be the same one."""


@workspace_page("GET", "HEAD", "POST")
def create(request: Visit, access: Access) -> HttpResponse:
    """The form (`?from=<job>`, `?picture=<asset>` fill it in), and what comes of it."""
    if request.method == "POST":
        require(access, "jobs:write")
        return _submit(request, access)
    if not may(access, "jobs:write"):
        return redirect("dashboard:library")  # a viewer's first page
    initial = _starting_values(access, request.GET)
    if request.htmx.target == "options":
        return _render(request, access, CreateForm(initial=initial), "dashboard/_options.html")
    return _render(request, access, CreateForm(initial=initial))


@workspace_page("POST", needs="assets:write")
def upload(request: Visit, access: Access) -> HttpResponse:
    """Files for the library. As a fragment: cards for the library page, a choice for the create page."""
    kept: list[Asset] = []
    refusals: list[str] = []
    for file in request.FILES.getlist("file"):
        try:
            kept.append(assets.upload(access, file))
        except Refusal as refusal:
            refusals.append(f"{file.name}: {refusal.message}")
    if not kept and not refusals:
        refusals.append("choose a file first")
    if not request.htmx:
        for sentence in refusals:
            messages.error(request, sentence)
        return redirect("dashboard:library")
    template = "dashboard/_uploaded.html"
    if request.POST.get("into") == "form":
        template = "dashboard/_picked.html"
        others = [asset for asset in kept if asset.kind != Asset.Kind.IMAGE]
        refusals += [f"{asset.name} is kept in the library, but it is no picture" for asset in others]
        kept = [asset for asset in kept if asset not in others]
    return render(
        request,
        template,
        {"assets": kept, "picture": kept[0] if kept else None, "refusals": refusals},
        status=422 if refusals and not kept else 200,
    )


def _submit(request: Visit, access: Access) -> HttpResponse:
    form = CreateForm(request.POST, request.FILES)
    if form.is_valid():
        try:
            _take_file(access, form)
            if "show" in request.POST:
                return _show_other_model(request, access, form)
            job = services.submit(access, form.to_request(), idempotency_key=form.idempotency_key())
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            return redirect("dashboard:job", job.pk)
    return _render(request, access, form, status=422)


def _take_file(access: Access, form: CreateForm) -> None:
    """Without scripts the file comes with the form; once kept, it is the chosen picture like any other."""
    file: UploadedFile[bytes] | None = form.cleaned_data["file"]
    if file:
        form.choose_picture(assets.upload(access, file).pk)


def _show_other_model(request: Visit, access: Access, form: CreateForm) -> HttpResponse:
    """Without scripts, a button brings the options of the model that was chosen."""
    model = choices.model_or_first(form.shown["model"])
    values = {**form.shown, "steps": "", "guidance": ""}
    initial = choices.fitted(model, plan_of(access.workspace.pk).tiers, values)
    return _render(request, access, CreateForm(initial=initial))


def _starting_values(access: Access, query: QueryDict) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if "from" in query:
        job = selectors.job(access.workspace, as_id(query.get("from", "")))
        values = {name: getattr(job, name) for name in _LIKE}
        values["picture"] = job.picture_id
        values["earlier_seed"] = job.seed
    values |= {name: query[name] for name in CreateForm.base_fields if name in query}
    model = choices.model_or_first(values.get("model"))
    return choices.fitted(model, plan_of(access.workspace.pk).tiers, values)


def _render(
    request: Visit,
    access: Access,
    form: CreateForm,
    template: str = "dashboard/create.html",
    status: int = 200,
) -> HttpResponse:
    shown = form.shown
    model = choices.model_or_first(shown["model"])
    context: dict[str, Any] = {
        "form": form,
        "shown": shown,
        "model": model,
        "modes": choices.modes(model),
        "ratios": choices.ratios(model),
        "tiers": plan_of(access.workspace.pk).tiers,
        "earlier_seed": form.initial.get("earlier_seed"),
    }
    if template == "dashboard/create.html":
        picture, pictures = _pictures(access, shown["picture"])
        context |= {"models": choices.models().values(), "picture": picture, "pictures": pictures}
    return render(request, template, context, status=status)


def _pictures(access: Access, chosen_id: str) -> tuple[Asset | None, list[Asset]]:
    """The chosen picture, if it is still there, and the ones to choose from with that one among them."""
    pictures = library(access.workspace).filter(kind=Asset.Kind.IMAGE)
    recent = list(pictures[:RECENT_PICTURES])
    if not chosen_id:
        return None, recent
    try:
        chosen = pictures.filter(pk=as_id(chosen_id)).first()
    except NotFound:
        chosen = None
    if chosen and chosen not in recent:
        recent = [chosen, *recent[: RECENT_PICTURES - 1]]
    return chosen, recent
