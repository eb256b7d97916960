"""Create: a picture, a model, a prompt, go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.datastructures import MultiValueDict

from assets.models import Asset
from assets.selectors import library
from billing.entitlements import Entitlements, entitlements_of
from generation import selectors, services, uploads
from mutoscope.accounts.selectors import Access
from mutoscope.dashboard import choices, words
from mutoscope.dashboard.choices import Shelf
from mutoscope.dashboard.delivery import delivery
from mutoscope.dashboard.forms import CreateForm
from mutoscope.dashboard.gate import Visit, may, require, workspace_page
from mutoscope.dashboard.paging import as_id
from mutoscope.dashboard.words import EstimateWords
from mutoscope.errors import NotFound, Refusal

RECENT_PICTURES = 11

_LIKE = (
    "model", "mode", "size", "seconds", "fps", "prompt", "negative_prompt", "preset", "steps", "guidance", "tier",
    "format", "quality", "output_fps", "loop",
)  # fmt: skip
"""What "make another like this" takes over. The seed is left out: with it, the clip would be the same one."""


@workspace_page("GET", "HEAD", "POST")
def create(request: Visit, access: Access) -> HttpResponse:
    """The form (`?from=<job>`, `?picture=<asset>` fill it in), and what comes of it."""
    if request.method == "POST":
        require(access, "jobs:write")
        return _submit(request, access)
    if not may(access, "jobs:write"):
        return redirect("dashboard:library")  # a viewer's first page
    plan = entitlements_of(access.workspace.pk)
    shelf = choices.shelf(plan)
    form = CreateForm(initial=_starting_values(access, plan, shelf, request.GET))
    if request.htmx.target == "options":
        return _render(request, access, plan, form, shelf, "dashboard/_options.html")
    return _render(request, access, plan, form, shelf)


@workspace_page("POST", needs="jobs:write")
def estimate(request: Visit, access: Access) -> HttpResponse:
    """What the form as it stands would come to: a line that follows every change."""
    form = CreateForm(request.POST)
    return render(request, "dashboard/_estimate_words.html", {"estimate": _estimate(access, form)})


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
    plan = entitlements_of(access.workspace.pk)
    return _render(request, access, plan, form, choices.shelf(plan), status=422)


def _take_file(access: Access, form: CreateForm) -> None:
    """Without scripts the file comes with the form; once kept, it is the chosen picture like any other."""
    file: UploadedFile[bytes] | None = form.cleaned_data["file"]
    if file:
        form.choose_picture(uploads.upload(access, file).pk)


def _show_other_model(request: Visit, access: Access, form: CreateForm) -> HttpResponse:
    """Without scripts, a button brings the options of the model that was chosen."""
    plan = entitlements_of(access.workspace.pk)
    shelf = choices.shelf(plan)
    values = {**form.shown, "steps": "", "guidance": ""}
    initial = choices.fitted(shelf.model(values["model"]), plan, values)
    return _render(request, access, plan, CreateForm(initial=initial), shelf)


def _starting_values(access: Access, plan: Entitlements, shelf: Shelf, query: QueryDict) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if "from" in query:
        job = selectors.job(access.workspace, as_id(query.get("from", "")))
        values = {name: getattr(job, name) for name in _LIKE}
        values |= {"picture": job.picture_id, "last_picture": job.last_picture_id, "earlier_seed": job.seed}
        values["sound"] = job.sound_id
        values["adapters"] = [use["name"] for use in job.adapters]
        values |= {f"strength-{use['name']}": f"{use['strength']:g}" for use in job.adapters}
    values |= {name: query[name] for name in CreateForm.base_fields if name in query}
    return choices.fitted(shelf.model(values.get("model")), plan, values)


def _render(
    request: Visit,
    access: Access,
    plan: Entitlements,
    form: CreateForm,
    shelf: Shelf,
    template: str = "dashboard/create.html",
    status: int = 200,
) -> HttpResponse:
    shown = form.shown
    model = shelf.model(shown["model"])
    context: dict[str, Any] = {
        "form": form,
        "shown": shown,
        "model": model,
        "modes": choices.modes(model),
        "ratios": choices.ratios(model, plan),
        "size_rule": choices.size_rule(model, plan),
        "lengths": choices.lengths(model, plan),
        "presets": choices.presets(model, plan),
        "delivery": delivery(access.workspace, plan, shown),
        "adapters": choices.adapter_choices(model, form.chosen_adapters),
        "tiers": plan.tiers,
        "earlier_seed": form.initial.get("earlier_seed"),
    }
    if template == "dashboard/create.html":
        picture, last_picture, pictures = _pictures(access, shown["picture"], shown["last_picture"])
        context |= {"shelf": shelf, "picture": picture, "last_picture": last_picture, "pictures": pictures}
        context["portraits_are_needed"] = any(offered.needs_portrait for offered in shelf.offered.values())
        if not form.is_bound:
            # As it would be sent untouched: pictures that are gone are not chosen on the page either.
            there = {"picture": picture and str(picture.pk), "last_picture": last_picture and str(last_picture.pk)}
            form = CreateForm(_as_sent(form, {**shown, **there}))
        context["estimate"] = _estimate(access, form)
    return render(request, template, context, status=status)


def _as_sent(form: CreateForm, shown: Mapping[str, Any]) -> MultiValueDict[str, Any]:
    sent: MultiValueDict[str, Any] = MultiValueDict({name: [value] for name, value in shown.items()})
    sent.setlist("adapters", list(form.chosen_adapters))
    sent.update({f"strength-{name}": strength for name, strength in form.chosen_adapters.items()})
    return sent


def _estimate(access: Access, form: CreateForm) -> EstimateWords | None:
    """In words; None while a field does not even read, which it says itself."""
    if not form.is_valid():
        return None
    asked = form.to_request()
    try:
        return words.of_estimate(services.estimate(access, asked))
    except Refusal as refusal:
        is_missing = refusal.field in words.MISSING and not getattr(asked, refusal.field)
        return EstimateWords(refusal=words.MISSING[refusal.field] if is_missing else refusal.message)


def _pictures(access: Access, chosen_id: str, last_id: str) -> tuple[Asset | None, Asset | None, list[Asset]]:
    """The chosen pictures, where they are still there, and the ones to choose from with those among them."""
    pictures = library(access.workspace).filter(kind=Asset.Kind.IMAGE)
    recent = list(pictures[:RECENT_PICTURES])
    found: list[Asset | None] = []
    for asked in (chosen_id, last_id):
        chosen = _picture(pictures, recent, asked)
        if chosen and chosen not in recent:
            recent.insert(0, chosen)
        found.append(chosen)
    return found[0], found[1], recent


def _picture(pictures: QuerySet[Asset], recent: list[Asset], asked: str) -> Asset | None:
    if not asked:
        return None
    try:
        picture_id = as_id(asked)
    except NotFound:
        return None
    return (
        next((asset for asset in recent if asset.pk == picture_id), None) or pictures.filter(pk=picture_id).first()
    )
