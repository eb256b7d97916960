from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display

from generation import (  # noqa: F401  (their pages)
    adapter_admin,
    catalog,
    control,
    licences,
    mark_admin,
    moderation_admin,
    rendition_admin,
    workers,
)
from generation.cancel_admin import cancel_jobs
from generation.catalog import territories
from generation.cost_admin import job_cost
from generation.models import Attempt, Job, JobEvent, LicenceAcceptance, Pause, Worker
from generation.quality_admin import ClipCheckInline
from generation.scheduling.lanes import UnknownLane
from generation.selectors import LaneFacts, lane_facts
from mutoscope.ages import ago
from mutoscope.errors import Refusal
from mutoscope.read_only import ReadOnly

FRONT = 100
"""The priority that an operator's "send to the front" gives."""
LICENCES_SHOWN = 50
"""Withdrawn acceptances on the page of licences, the newest first."""


class AttemptInline(ReadOnly, TabularInline):
    model = Attempt
    fields = [
        "number",
        "worker",
        "outcome",
        "blame",
        "reason",
        "first_step",
        "steps",
        "claimed_at",
        "engine_started_at",
        "engine_ended_at",
        "ended_at",
    ]
    tab = True


class JobEventInline(ReadOnly, TabularInline):
    model = JobEvent
    fields = ["at", "kind", "attempt", "message"]
    tab = True


@admin.register(Job)
class JobAdmin(ReadOnly, ModelAdmin):
    list_display = [
        "id",
        "state_label",
        "workspace",
        "lane",
        "size",
        "seconds",
        "priority",
        "attempt",
        "created_at",
        "ended_at",
    ]
    list_filter = ["state", "model", "tier", "attempts__blame", "created_at"]
    list_select_related = ["workspace"]
    search_fields = ["id", "prompt", "workspace__name", "error_code"]
    show_full_result_count = False
    date_hierarchy = "created_at"
    readonly_fields = ["cost"]
    inlines = [AttemptInline, ClipCheckInline, JobEventInline]
    actions = ["send_to_the_front", "back_in_line", cancel_jobs]

    @display(  # type: ignore[untyped-decorator]
        description="state",
        ordering="state",
        label={
            "succeeded": "success",
            "failed": "danger",
            "running": "info",
            "finishing": "info",
            "queued": "warning",
            "scheduled": "warning",
        },
    )
    def state_label(self, job: Job) -> str:
        return job.state

    @admin.display(description="cost so far")
    def cost(self, job: Job) -> str:
        return job_cost(job.pk)

    def has_boost_permission(self, request: HttpRequest) -> bool:
        """Who may change jobs at all."""
        return bool(request.user.has_perm("generation.change_job"))

    @action(description="Send to the front of their lanes", permissions=["boost"])  # type: ignore[untyped-decorator]
    def send_to_the_front(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._boost(request, jobs, FRONT)

    @action(description="Put back in line", permissions=["boost"])  # type: ignore[untyped-decorator]
    def back_in_line(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._boost(request, jobs, 0)

    def _boost(self, request: HttpRequest, jobs: QuerySet[Job], priority: int) -> None:
        changed = sum(control.boost(job.pk, priority) for job in jobs)
        late = len(jobs) - changed
        self.message_user(request, f"{changed} changed" + (f"; {late} no longer wait" if late else ""))


@admin.register(Pause)
class LaneAdmin(ModelAdmin):
    """The lanes: what waits in each, and pausing and resuming them."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Pause | None = None) -> bool:
        return False  # `control.resume` does it, and wakes the workers

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method == "POST":
            return self._pause_or_resume(request)
        context = {
            **self.admin_site.each_context(request),
            "title": "Lanes",
            "table": _table(lane_facts()),
            "pauses": Pause.objects.select_related("paused_by").order_by("scope"),
            "scopes": control.scopes(),
            "may_change": self.has_change_permission(request),
        }
        return TemplateResponse(request, "admin/lanes.html", context)

    def _pause_or_resume(self, request: HttpRequest) -> HttpResponse:
        if not self.has_change_permission(request):
            raise PermissionDenied
        scope = request.POST.get("scope", "")
        try:
            if "resume" in request.POST:
                control.resume(scope)
                messages.success(request, f"{scope} is resumed")
            else:
                reason = request.POST.get("reason", "")[: Pause._meta.get_field("reason").max_length]
                control.pause(scope, reason=reason, by=request.user)  # type: ignore[arg-type]  # staff are users
                messages.success(request, f"{scope} is paused: jobs under way go on, the others wait")
        except (UnknownLane, Refusal) as error:
            messages.error(request, str(error))
        return redirect("admin:generation_pause_changelist")


def _table(facts: list[LaneFacts]) -> dict[str, Any]:
    """The lanes as django-unfold's table wants them."""
    return {
        "headers": ["lane", "waiting", "held back", "running", "oldest waits", "workers", "paused"],
        "rows": [
            [
                fact.lane,
                fact.waiting,
                fact.throttled,
                fact.running,
                f"{fact.oldest_seconds:.0f} s" if fact.oldest_seconds is not None else "–",
                fact.workers or "none",
                str(fact.paused or "–"),
            ]
            for fact in facts
        ],
    }


@admin.register(Worker)
class WorkerAdmin(ReadOnly, ModelAdmin):
    """The workers as they report themselves; an operator may have them drain."""

    list_display = [
        "name",
        "state_label",
        "gpu_label",
        "lane_list",
        "job",
        "progress",
        "vram",
        "claimed_ago",
        "seen_ago",
        "drain_requested_at",
        "version",
    ]
    list_filter = ["state", "model", "host", "is_spot"]
    list_select_related = ["job"]
    search_fields = ["name", "host", "gpu_name"]
    actions = ["drain", "undo_drain"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Worker]:
        found: QuerySet[Worker] = super().get_queryset(request)
        return found.annotate(
            _alive=workers.alive(), _seen_ago=Now() - F("seen_at"), _claimed_ago=Now() - F("last_claim_at")
        )

    def has_drain_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("generation.change_worker")

    @admin.action(description="Drain: end what is in hand, stop, and stay stopped", permissions=["drain"])
    def drain(self, request: HttpRequest, chosen: QuerySet[Worker]) -> None:
        alive = workers.request_drain(Worker.objects.filter(pk__in=chosen.values("pk")))
        self.message_user(request, f"{alive} running workers are asked to drain.")

    @admin.action(description="Take a drain back: they may run again", permissions=["drain"])
    def undo_drain(self, request: HttpRequest, chosen: QuerySet[Worker]) -> None:
        lifted = workers.lift_drain(Worker.objects.filter(pk__in=chosen.values("pk")))
        self.message_user(request, f"{lifted} workers may run again.")

    @display(  # type: ignore[untyped-decorator]
        description="state",
        ordering="state",
        label={
            "working": "success",
            "idle": "info",
            "loading": "warning",
            "draining": "warning",
            "gone": "danger",
        },
    )
    def state_label(self, worker: Any) -> str:
        return str(worker.state) if worker._alive or worker.state == Worker.State.STOPPED else "gone"

    @admin.display(description="GPU", ordering="gpu_name")
    def gpu_label(self, worker: Worker) -> str:
        return f"{worker.gpu}: {worker.gpu_name}" if worker.gpu else "–"

    @admin.display(description="lanes")
    def lane_list(self, worker: Worker) -> str:
        return ", ".join(worker.lanes)

    @admin.display(description="step")
    def progress(self, worker: Worker) -> str:
        return f"{worker.step}/{worker.steps}" if worker.job_id else "–"

    @admin.display(description="VRAM, MiB", ordering="vram_used_mib")
    def vram(self, worker: Worker) -> str:
        return workers.memory(worker.vram_used_mib, worker.vram_total_mib)

    @admin.display(description="last claim", ordering="last_claim_at")
    def claimed_ago(self, worker: Any) -> str:
        return ago(worker._claimed_ago)

    @admin.display(description="seen", ordering="seen_at")
    def seen_ago(self, worker: Any) -> str:
        return ago(worker._seen_ago)


class AcceptForm(forms.Form):
    """An operator's acceptance of a licence, as it was shown."""

    model = forms.CharField()
    version = forms.CharField(required=False)
    territory = forms.ChoiceField(
        choices=territories.by_name,
        error_messages={"required": "Choose the country where you operate."},
    )
    agree = forms.BooleanField(error_messages={"required": "Tick that you have read and accept the licence."})

    def clean(self) -> dict[str, Any]:
        """The licence may have changed since the page was made."""
        model = catalog.models().get(self.cleaned_data.get("model", ""))
        if model is None or model.licence.version != self.cleaned_data.get("version"):
            raise forms.ValidationError("The licence has changed since this page was shown; read it again.")
        return self.cleaned_data


@admin.register(LicenceAcceptance)
class LicenceAdmin(ReadOnly, ModelAdmin):
    """The licences that must be accepted: how each stands, accepting and withdrawing, and what was done before."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method == "POST":
            return self._accept_or_withdraw(request)
        bound = [model for model in catalog.models().values() if model.licence.must_accept]
        standing, states = licences.acceptances(bound), licences.states(bound)
        context = {
            **self.admin_site.each_context(request),
            "title": "Licences",
            "licences": [(model, states[model.slug], standing.get(model.slug)) for model in bound],
            "earlier": LicenceAcceptance.objects.exclude(withdrawn_at=None)[:LICENCES_SHOWN],
            "countries": territories.by_name(),
            "may_change": self._may_change(request),
        }
        return TemplateResponse(request, "admin/licences.html", context)

    def _may_change(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("generation.change_licenceacceptance"))

    def _accept_or_withdraw(self, request: HttpRequest) -> HttpResponse:
        if not self._may_change(request):
            raise PermissionDenied
        model = catalog.models().get(request.POST.get("model", ""))
        form = AcceptForm(request.POST)
        user: Any = request.user  # staff are users
        try:
            if model and "withdraw" in request.POST:
                licences.withdraw(model, user)
                messages.success(request, f"{model.name} takes no more jobs, and those that wait are paused")
            elif model and form.is_valid():
                licences.accept(model, form.cleaned_data["territory"], user)
                messages.success(request, f"{model.name} may run")
            else:
                for sentences in form.errors.values():
                    messages.error(request, " ".join(map(str, sentences)))
        except Refusal as refusal:
            messages.error(request, refusal.message)
        return redirect("admin:generation_licenceacceptance_changelist")
