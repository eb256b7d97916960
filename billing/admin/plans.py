from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from billing.models import Plan, Subscription


@admin.register(Plan)
class PlanAdmin(ModelAdmin):
    list_display = [
        "name",
        "slug",
        "tiers",
        "weight",
        "concurrent_jobs",
        "queued_jobs",
        "workspaces",
        "is_default",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Plan]:
        found: QuerySet[Plan] = super().get_queryset(request)
        return found.annotate(_workspaces=Count("subscriptions"))

    @admin.display(description="workspaces", ordering="_workspaces")
    def workspaces(self, plan: Any) -> int:
        return int(plan._workspaces)


@admin.register(Subscription)
class SubscriptionAdmin(ModelAdmin):
    list_display = ["workspace", "plan", "since"]
    list_filter = ["plan"]
    list_select_related = ["workspace", "plan"]
    search_fields = ["workspace__name"]
    autocomplete_fields = ["workspace"]
