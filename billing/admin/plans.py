"""The operators' pages about plans: what each grants, who is on which, what is agreed with single workspaces."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.forms import SimpleArrayField
from django.db.models import Count, Exists, Field, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from billing import services
from billing.models import Plan, PlanOverride, Subscription


class NamesField(SimpleArrayField):
    """Names with commas between them, with or without spaces."""

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str):
            value = ",".join(name.strip() for name in value.split(","))
        return super().to_python(value)

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value


HELP = {
    "watermark": "Clips carry the operator's visible mark: Generation → Visible marks says how it looks.",
    "output_formats": "Formats that clips may be made and downloaded in, between commas, such as mp4, webm, gif; "
    "docs/outputs.md names them all. Empty is all.",
}
"""What operators are told beside the columns' own words."""


@admin.register(Plan)
class PlanAdmin(ModelAdmin):
    list_display = [
        "name", "slug", "tiers", "weight", "concurrent_jobs", "queued_jobs", "credits_per_month",
        "seconds_per_day", "price", "workspaces", "is_default",
    ]  # fmt: skip
    ordering = ["price_cents", "slug"]
    search_fields = ["name", "slug"]
    readonly_fields = ["is_default"]
    actions = ["make_default"]
    fieldsets = [
        (None, {"fields": ["name", "slug", "summary", "is_default"]}),
        ("How jobs run", {"fields": ["tiers", "weight", "concurrent_jobs", "queued_jobs"]}),
        ("How much", {"fields": ["credits_per_month", "seconds_per_day", "seconds_per_month"]}),
        ("Of what", {"fields": ["allowed_models", "allowed_presets", "max_pixels", "max_seconds"]}),
        ("The library", {"fields": ["storage_mib", "retention_days", "watermark", "output_formats"]}),
        ("The API", {"fields": ["requests_per_minute"]}),
        ("What it costs", {"fields": ["price_cents", "currency", "stripe_price"]}),
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: Plan | None = None) -> list[str]:
        """The slug is what subscriptions and the ledger's references know a plan by: it is chosen once."""
        return [*self.readonly_fields, *(["slug"] if obj else [])]

    def formfield_for_dbfield(self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in HELP:
            kwargs["help_text"] = HELP[db_field.name]
        if isinstance(db_field, ArrayField):
            return db_field.formfield(form_class=NamesField, **kwargs | {"widget": UnfoldAdminTextInputWidget()})
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def has_delete_permission(self, request: HttpRequest, obj: Plan | None = None) -> bool:
        """The default plan stays: workspaces without a subscription are on it."""
        return bool(super().has_delete_permission(request, obj)) and not (obj and obj.is_default)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Plan]:
        found: QuerySet[Plan] = super().get_queryset(request)
        return found.annotate(_workspaces=Count("subscriptions"))

    @admin.action(description="Make it the plan of workspaces that have chosen none", permissions=["change"])
    def make_default(self, request: HttpRequest, plans: QuerySet[Plan]) -> None:
        if len(plans) != 1:
            self.message_user(request, f"Choose one plan: {len(plans)} are chosen.", messages.ERROR)
            return
        services.make_default(plans[0])
        self.log_change(request, plans[0], "Made the default plan.")
        self.message_user(request, f"Workspaces that have chosen no plan are on {plans[0]} now.")

    @admin.display(description="price a month", ordering="price_cents")
    def price(self, plan: Plan) -> str:
        return f"{plan.price_cents / 100:,.2f} {plan.currency.upper()}" if plan.price_cents else "–"

    @admin.display(description="workspaces", ordering="_workspaces")
    def workspaces(self, plan: Any) -> int:
        return int(plan._workspaces)


@admin.register(Subscription)
class SubscriptionAdmin(ModelAdmin):
    """Who is on which plan. What a payment provider says of one is shown, and changed by the provider alone."""

    list_display = ["workspace", "plan", "since", "provider", "paid_until", "ends_at", "grace_until"]
    list_filter = ["plan", "provider"]
    list_select_related = ["workspace", "plan"]
    search_fields = ["workspace__name", "provider_id"]
    autocomplete_fields = ["workspace"]
    readonly_fields = ["since", "provider", "provider_id", "provider_at", "paid_until", "ends_at", "grace_until"]
    fieldsets = [
        (None, {"fields": ["workspace", "plan", "since"]}),
        ("At the payment provider", {"fields": [name for name in readonly_fields if name != "since"]}),
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: Subscription | None = None) -> list[str]:
        return [*self.readonly_fields, *(["workspace"] if obj else [])]


class StandingFilter(admin.SimpleListFilter):
    """Whether overrides are in force."""

    title = "standing"
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("in-force", "In force"), ("over", "Over")]

    def queryset(self, request: HttpRequest, overrides: QuerySet[Any]) -> QuerySet[Any]:
        in_force = Q(ends_at__gt=Now())
        return {"in-force": overrides.filter(in_force), "over": overrides.exclude(in_force)}.get(
            self.value() or "", overrides
        )


@admin.register(PlanOverride)
class PlanOverrideAdmin(ModelAdmin):
    """What is agreed with single workspaces: ended, or followed by another that then holds; never rewritten."""

    list_display = [
        "workspace", "limit", "shown_value", "standing", "reason", "made_by", "created_at", "ends_at",
    ]  # fmt: skip
    list_display_links = ["workspace", "limit"]
    list_filter = [StandingFilter, "limit"]
    list_select_related = ["workspace", "made_by"]
    search_fields = ["workspace__name", "reason"]
    autocomplete_fields = ["workspace"]
    fields = ["workspace", "limit", "value", "reason", "ends_at", "made_by", "created_at"]
    readonly_fields = ["made_by", "created_at"]
    actions = ["end_now"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[PlanOverride]:
        found: QuerySet[PlanOverride] = super().get_queryset(request)
        newer = PlanOverride.objects.filter(
            workspace=OuterRef("workspace"), limit=OuterRef("limit"), pk__gt=OuterRef("pk"), ends_at__gt=Now()
        )
        return found.annotate(_runs=Q(ends_at__gt=Now()), _replaced=Exists(newer))

    def get_readonly_fields(self, request: HttpRequest, obj: PlanOverride | None = None) -> list[str]:
        return [*self.readonly_fields, *(["workspace", "limit", "value", "reason"] if obj else [])]

    def save_model(self, request: HttpRequest, obj: PlanOverride, form: Any, change: bool) -> None:
        """Note who has agreed it."""
        if not change:
            obj.made_by = request.user  # type: ignore[assignment]  # operators are users
        super().save_model(request, obj, form, change)

    @admin.action(description="End now: the plan's own limit holds again", permissions=["change"])
    def end_now(self, request: HttpRequest, overrides: QuerySet[PlanOverride]) -> None:
        ended = services.end_overrides(PlanOverride.objects.filter(pk__in=overrides.values("pk")))
        self.message_user(request, f"{ended} of {len(overrides)} were in force, and are over now.")

    @admin.display(description="value")
    def shown_value(self, override: PlanOverride) -> str:
        return "no limit" if override.value is None else json.dumps(override.value)

    @display(  # type: ignore[untyped-decorator]
        label={"in force": "success", "replaced": "warning", "over": "info"}
    )
    def standing(self, override: Any) -> str:
        if not override._runs:
            return "over"
        return "replaced" if override._replaced else "in force"
