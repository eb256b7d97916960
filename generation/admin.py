from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from generation.models import Attempt, Job, JobEvent


class _ReadOnly:
    """History is looked at, never edited."""

    def has_add_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
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
