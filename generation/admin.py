from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import F, Model, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from generation import workers
from generation.models import Attempt, Job, JobEvent, Worker
from mutoscope.ages import ago


class _ReadOnly:
    """History is looked at, never edited."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class AttemptInline(_ReadOnly, TabularInline):
    model = Attempt
    fields = [
        "number",
        "worker",
        "outcome",
        "reason",
        "claimed_at",
        "engine_started_at",
        "engine_ended_at",
        "ended_at",
    ]
    tab = True


class JobEventInline(_ReadOnly, TabularInline):
    model = JobEvent
    fields = ["at", "kind", "attempt", "message"]
    tab = True


@admin.register(Job)
class JobAdmin(_ReadOnly, ModelAdmin):
    list_display = [
        "id",
        "state_label",
        "workspace",
        "lane",
        "size",
        "seconds",
        "attempt",
        "created_at",
        "ended_at",
    ]
    list_filter = ["state", "model", "tier", "created_at"]
    list_select_related = ["workspace"]
    search_fields = ["id", "prompt", "workspace__name", "error_code"]
    show_full_result_count = False
    date_hierarchy = "created_at"
    inlines = [AttemptInline, JobEventInline]

    @display(  # type: ignore[untyped-decorator]
        description="state",
        ordering="state",
        label={
            "succeeded": "success",
            "failed": "danger",
            "running": "info",
            "finishing": "info",
            "queued": "warning",
        },
    )
    def state_label(self, job: Job) -> str:
        return job.state


@admin.register(Worker)
class WorkerAdmin(_ReadOnly, ModelAdmin):
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
