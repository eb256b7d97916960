"""Packs, and what the payment provider told us."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.decorators import action, display

from billing.models import CreditPack, Customer, Payment, ProviderEvent
from billing.payments import events
from billing.payments.provider import provider
from mutoscope.read_only import ReadOnly


@admin.register(CreditPack)
class CreditPackAdmin(ModelAdmin):
    list_display = ["name", "credits", "price", "valid_days", "stripe_price", "is_offered"]
    list_filter = ["is_offered"]

    @admin.display(description="price", ordering="price_cents")
    def price(self, pack: CreditPack) -> str:
        return f"{pack.price_cents / 100:,.2f} {pack.currency.upper()}"


@admin.register(Customer)
class CustomerAdmin(ReadOnly, ModelAdmin):
    list_display = ["workspace", "provider", "provider_id", "created_at"]
    list_select_related = ["workspace"]
    search_fields = ["workspace__name", "provider_id"]


@admin.register(Payment)
class PaymentAdmin(ReadOnly, ModelAdmin):
    list_display = ["created_at", "workspace_id", "description", "amount", "refunded", "credits", "state_label"]
    list_filter = ["state", "kind", "provider", "created_at"]
    search_fields = ["workspace_id", "provider_id", "payment_intent", "description"]
    date_hierarchy = "created_at"

    @admin.display(description="amount", ordering="amount_cents")
    def amount(self, payment: Payment) -> str:
        return f"{payment.amount_cents / 100:,.2f} {payment.currency.upper()}"

    @admin.display(description="paid back", ordering="refunded_cents", empty_value="")
    def refunded(self, payment: Payment) -> str | None:
        return f"{payment.refunded_cents / 100:,.2f}" if payment.refunded_cents else None

    @display(  # type: ignore[untyped-decorator]
        description="state", ordering="state", label={"paid": "success", "failed": "danger", "open": "warning"}
    )
    def state_label(self, payment: Payment) -> str:
        return payment.state


class StateFilter(admin.SimpleListFilter):
    """What became of an event."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [("problem", "has a problem"), ("set_aside", "set aside with a problem"), ("done", "took effect")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ProviderEvent]) -> QuerySet[ProviderEvent]:
        chosen = self.value()
        if chosen == "problem":
            return queryset.filter(processed_at=None)
        if chosen == "set_aside":
            return queryset.filter(processed_at__isnull=False).exclude(problem="")
        return queryset.filter(processed_at__isnull=False, problem="") if chosen == "done" else queryset


@admin.register(ProviderEvent)
class ProviderEventAdmin(ReadOnly, ModelAdmin):
    list_display = ["created_at", "kind", "event_id", "processed_at", "problem"]
    list_filter = [StateFilter, "provider", "kind", "created_at"]
    search_fields = ["event_id", "kind", "problem"]
    date_hierarchy = "created_at"
    actions = ["process_again", "set_aside"]
    show_full_result_count = False

    def has_process_permission(self, request: HttpRequest) -> bool:
        """Who may change events at all."""
        return bool(request.user.has_perm("billing.change_providerevent"))

    @action(description="Process again", permissions=["process"])  # type: ignore[untyped-decorator]
    def process_again(self, request: HttpRequest, chosen: QuerySet[ProviderEvent]) -> None:
        """Those that have taken effect are left alone: they take effect once."""
        waiting = list(chosen.filter(processed_at=None, provider=provider().name).order_by("created_at", "pk"))
        done = sum(events.take_in(provider(), event.pk) for event in waiting)
        self.message_user(
            request,
            f"{done} took effect; {len(waiting) - done} still have a problem; "
            f"{len(chosen) - len(waiting)} had taken effect before, or are not of the provider in use",
        )

    @action(  # type: ignore[untyped-decorator]
        description="Set aside: do not try again", permissions=["process"]
    )
    def set_aside(self, request: HttpRequest, chosen: QuerySet[ProviderEvent]) -> None:
        self.message_user(request, f"{events.set_aside(chosen)} set aside")
