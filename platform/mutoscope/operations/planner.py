"""The admin's page that plans GPUs and costs for a demand."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.response import TemplateResponse
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from billing.models import Gpu, GpuPrice, Plan
from generation import catalog
from generation.costs.estimates import model_called
from generation.planner import tables
from generation.planner.demand import PROFILES, WORKING_DAY
from generation.planner.plan import plan
from generation.planner.question import ImpossiblePlan, Question

PERMISSION = "billing.view_gpuprice"
"""Who may see what GPUs cost may plan with it."""


def _words(**options: Any) -> forms.CharField:
    return forms.CharField(widget=UnfoldAdminTextInputWidget, **options)


def _number(**options: Any) -> forms.IntegerField:
    return forms.IntegerField(widget=UnfoldAdminIntegerFieldWidget, **options)


def _choice(**options: Any) -> forms.ChoiceField:
    return forms.ChoiceField(widget=UnfoldAdminSelectWidget, **options)


def _models() -> list[tuple[str, str]]:
    return [(model.slug, model.name) for model in catalog.models().values() if model.diffusion]


def _gpus() -> list[tuple[str, str]]:
    return [("", "The one that makes a second for the least"), *Gpu.objects.values_list("name", "name")]


def _plans() -> list[tuple[str, str]]:
    return [("", "No limit"), *Plan.objects.order_by("name").values_list("slug", "name")]


class PlannerForm(forms.Form):
    """A question to the planner; what it asks is checked there."""

    clips_per_day = _number(initial=1000)
    seconds = forms.FloatField(initial=4, widget=UnfoldAdminTextInputWidget, help_text="Of one clip.")
    model = _choice(choices=_models)
    size = _words(required=False, help_text="Empty is the model's default.")
    preset = _words(required=False, help_text="Empty is the model as published.")
    gpu = _choice(required=False, choices=_gpus, label="GPU")
    market = _choice(
        required=False,
        choices=[("", "The lower"), *GpuPrice.Market.choices],
        help_text="Whose prices the GPU is chosen by.",
    )
    fleet = _number(required=False, help_text="GPUs whose waits are asked for; empty is as many as are needed.")
    profile = _choice(choices=[(name, name) for name in PROFILES], initial=WORKING_DAY)
    workspaces = _number(initial=10, help_text="Among which the clips are spread evenly.")
    plan = _choice(
        required=False, choices=_plans, help_text="The workspaces' plan, for its limit on concurrent jobs."
    )
    tiers = _words(initial="paid", help_text="With their shares: paid=7,free=3.")
    seed = _number(initial=1, help_text="Of the simulated arrivals.")

    @classmethod
    def of_link(cls, given: QueryDict) -> PlannerForm:
        """The form filled in from an address: what it leaves out has its default, and a model any of its names."""
        asked = {name: field.initial for name, field in cls.base_fields.items() if field.initial is not None}
        asked |= given.dict()
        named = model_called(asked.get("model", ""))
        return cls(asked | {"model": named.slug} if named else asked)

    def to_question(self) -> Question:
        """The question, checked. Raises `ImpossiblePlan`."""
        return Question.in_words(**self.cleaned_data)


def planner(request: HttpRequest) -> HttpResponse:
    """The form and, once it is sent, the plan. Nothing is changed, so it is a GET and a link to share."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    form = PlannerForm.of_link(request.GET) if request.GET else PlannerForm()
    context = {**admin.site.each_context(request), "title": "Planner", "form": form}
    if form.is_bound and form.is_valid():
        try:
            found = plan(form.to_question())
        except ImpossiblePlan as impossible:
            form.add_error(impossible.field if impossible.field in form.fields else None, impossible.message)
        else:
            context |= {"summary": tables.summary(found), "tables": tables.tables(found)}
    return TemplateResponse(request, "admin/planner.html", context)
