"""Stripe's events in our words. Shapes as of API version 2026-10-28.endive, which stripe 16 speaks.

Only here are Stripe's names of fields. In that version an invoice names its subscription under `parent` and its
prices under `lines[].pricing`; the period of a subscription is that of its items; and by which payment an invoice
was paid comes in an event of its own (`invoice_payment.paid`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeAlias

from billing.models import Payment, ProviderEvent
from billing.payments.base import (
    IntentNews,
    InvoiceNews,
    Line,
    News,
    PackNews,
    ReceiptNews,
    RefundNews,
    SubscriptionNews,
    Trouble,
    Unsettled,
)

PROVIDER = "stripe"
API_VERSION = "2026-10-28.endive"
"""What the shapes here are of, and what an endpoint at Stripe should be set to."""

WORKSPACE, PACK, CREDITS, VALID_DAYS, PLAN = "workspace", "pack", "credits", "valid_days", "plan"
"""Keys of the metadata that our check-outs write."""

LIVE = {"active", "trialing", "past_due"}
LATE = "past_due"
NEVER_BEGAN = {"incomplete", "incomplete_expired"}
OVER = {"canceled", *NEVER_BEGAN}

Payload: TypeAlias = dict[str, Any]


def read(payload: Payload) -> News | None:
    """What an event says; None for kinds that say nothing to us. See `Provider.read`."""
    reader = _READERS.get(payload["type"])
    if reader is None:
        return None
    try:
        return reader(payload)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise Unsettled(
            f"the event has API version {payload.get('api_version')}, and not the shape of {API_VERSION}: "
            f"{type(error).__name__} {error}"
        ) from error


def subscriptions_of(customer: str) -> list[SubscriptionNews]:
    """The latest news of each of the customer's subscriptions. See `Provider.subscriptions_of`."""
    events = ProviderEvent.objects.filter(
        provider=PROVIDER, kind__in=_SUBSCRIPTION, payload__data__object__customer=customer
    )
    newest: dict[str, tuple[tuple[object, ...], SubscriptionNews]] = {}
    for event in events:
        news = _subscription(event.payload)
        # Stripe counts whole seconds. Of one second: the end is last, and what never began first.
        began = event.payload["data"]["object"]["status"] not in NEVER_BEGAN
        order = (news.at, event.kind == DELETED, began, event.kind == UPDATED, event.event_id)
        if news.subscription not in newest or newest[news.subscription][0] < order:
            newest[news.subscription] = (order, news)
    return [news for _, news in newest.values()]


def without_people(payload: Payload) -> Payload:
    """The event with nothing left in it but what is read here. See `Provider.without_people`."""
    kept: Payload = _only_read(payload)
    return kept


def _only_read(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _only_read(inner) for key, inner in value.items() if key in _READ}
    if isinstance(value, list):
        return [_only_read(inner) for inner in value]
    return value


def _subscription(payload: Payload) -> SubscriptionNews:
    it = payload["data"]["object"]
    items = it["items"]["data"]
    ends = max(item["current_period_end"] for item in items)
    begins = max(item["current_period_start"] for item in items)
    is_late = it["status"] == LATE
    cancelled = it["cancel_at"] or (ends if it["cancel_at_period_end"] else None)
    return SubscriptionNews(
        customer=it["customer"],
        subscription=it["id"],
        begun_at=_at(it["created"]),
        at=_at(payload["created"]),
        price=items[0]["price"]["id"],
        plan=it["metadata"].get(PLAN, ""),
        is_live=it["status"] in LIVE and payload["type"] != DELETED,
        is_late=is_late,
        is_over=it["status"] in OVER or payload["type"] == DELETED,
        paid_until=_at(begins if is_late else ends),
        ends_at=_at(cancelled) if cancelled else None,
    )


def _check_out(payload: Payload) -> PackNews | None:
    it = payload["data"]["object"]
    if it["mode"] != "payment":
        return None  # a subscription: its own events say all there is
    sold = it["metadata"] or {}
    if CREDITS not in sold:
        raise Unsettled(f"the check-out {it['id']} is not one of ours: its metadata has no {CREDITS}")
    if payload["type"] == "checkout.session.async_payment_failed":
        state = Payment.State.FAILED
    elif it["payment_status"] == "unpaid":
        state = Payment.State.OPEN
    else:
        state = Payment.State.PAID
    return PackNews(
        customer=it["customer"],
        check_out=it["id"],
        payment_intent=it["payment_intent"] or "",
        state=state,
        name=sold[PACK],
        credits=int(sold[CREDITS]),
        valid_days=int(sold[VALID_DAYS]) if sold.get(VALID_DAYS) else None,
        amount_cents=it["amount_total"],
        currency=it["currency"],
        at=_at(payload["created"]),
    )


def _invoice(payload: Payload) -> InvoiceNews | None:
    it = payload["data"]["object"]
    parent = (it["parent"] or {}).get("subscription_details")
    if parent is None:
        return None  # an operator's own invoice
    is_paid = payload["type"] != "invoice.payment_failed"
    paid_at = it["status_transitions"]["paid_at"]
    return InvoiceNews(
        customer=it["customer"],
        invoice=it["id"],
        plan=(parent["metadata"] or {}).get(PLAN, ""),
        lines=tuple(_lines(it["lines"]["data"])),
        is_paid=is_paid,
        is_first=it["billing_reason"] == "subscription_create",
        amount_cents=it["amount_paid"] if is_paid else it["amount_due"],
        currency=it["currency"],
        receipt_url=it.get("hosted_invoice_url") or "",
        created_at=_at(it["created"]),
        paid_at=_at(paid_at or payload["created"]) if is_paid else None,
    )


def _lines(rows: list[Payload]) -> Iterator[Line]:
    """Those that have a price: what an operator adds by hand may have none."""
    for row in rows:
        pricing = row["pricing"] or {}
        price = (pricing.get("price_details") or {}).get("price")
        parent = row["parent"] or {}
        item = parent.get("subscription_item_details")
        is_part = bool((item or parent.get("invoice_item_details") or {}).get("proration"))
        if price:
            yield Line(
                price=price,
                amount_cents=row["amount"],
                is_of_plan=item is not None or is_part,
                is_part=is_part,
                ends_at=_at(row["period"]["end"]),
            )


def _intent(payload: Payload) -> IntentNews | None:
    it = payload["data"]["object"]
    intent = it["payment"].get("payment_intent")
    return IntentNews(it["invoice"], intent) if intent else None


def _receipt(payload: Payload) -> ReceiptNews | None:
    it = payload["data"]["object"]
    url, intent = it.get("receipt_url"), it["payment_intent"]
    return ReceiptNews(intent, url) if url and intent else None


def _refunded(payload: Payload) -> RefundNews:
    it = payload["data"]["object"]
    if not it["payment_intent"]:
        raise Unsettled(f"the charge {it['id']} has no payment intent, so it is none of ours")
    return RefundNews(it["payment_intent"], it["amount_refunded"])


def _dispute(payload: Payload) -> Trouble:
    it = payload["data"]["object"]
    amount = f"{it['amount'] / 100:.2f} {it['currency'].upper()}"
    return Trouble(
        subject=f"A payment is disputed: {it['status']}",
        text=f"The dispute {it['id']} is about {amount} of the payment {it['payment_intent']}: {it['reason']}. "
        "It is answered in Stripe's dashboard. Credits are left alone until an operator adjusts them.",
        key=f"dispute-{it['id']}-{it['status']}",
    )


def _refund_failed(payload: Payload) -> Trouble:
    it = payload["data"]["object"]
    return Trouble(
        subject="A refund failed",
        text=f"The refund {it['id']} of {it['payment_intent']} did not arrive: {it['failure_reason']}. "
        "The credits have been taken back all the same; an operator may give them again.",
        key=f"refund-{it['id']}",
    )


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


UPDATED, DELETED = "customer.subscription.updated", "customer.subscription.deleted"
_SUBSCRIPTION = [
    "customer.subscription.created",
    UPDATED,
    DELETED,
    "customer.subscription.paused",
    "customer.subscription.resumed",
]
_READERS: dict[str, Callable[[Payload], News | None]] = {
    **dict.fromkeys(_SUBSCRIPTION, _subscription),
    "checkout.session.completed": _check_out,
    "checkout.session.async_payment_succeeded": _check_out,
    "checkout.session.async_payment_failed": _check_out,
    "invoice.paid": _invoice,
    "invoice.payment_succeeded": _invoice,
    "invoice.payment_failed": _invoice,
    "invoice_payment.paid": _intent,
    "charge.succeeded": _receipt,
    "charge.refunded": _refunded,
    "charge.dispute.created": _dispute,
    "charge.dispute.closed": _dispute,
    "refund.failed": _refund_failed,
}

_READ = frozenset({
    "amount", "amount_due", "amount_paid", "amount_refunded", "amount_total", "api_version", "billing_reason",
    "cancel_at", "cancel_at_period_end", "created", "currency", "current_period_end", "current_period_start",
    "customer", "data", "end", "failure_reason", "id", "invoice", "invoice_item_details", "items", "lines",
    "metadata", "mode", "object", "paid_at", "parent", "payment", "payment_intent", "payment_status", "period",
    "price", "price_details", "pricing", "proration", "reason", "status", "status_transitions",
    "subscription_details", "subscription_item_details", "type", WORKSPACE, PACK, CREDITS, VALID_DAYS, PLAN,
})  # fmt: skip
"""Every key of an event that is read here, wherever it stands, but for the addresses of receipts: those lead to
pages with names on them."""

KINDS = tuple(_READERS)
"""What an endpoint at Stripe has to send."""
