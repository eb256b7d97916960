"""Events in the shapes of Stripe's API version 2026-10-28.endive, as the types of stripe 16.1.0 describe them.

Written by hand from those types, with all that we read and some that we must not stumble over; no recording of
a real account is among them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

Event = dict[str, Any]

_numbers = count(1)
MONTH = 31 * 86400
T0 = int(datetime.now(UTC).timestamp()) - 3600
"""When what is told began: an hour ago, so that nothing has run out."""
CREATOR, STUDIO = "price_creator", "price_studio"


def event(kind: str, subject: dict[str, Any], at: int, **data: Any) -> Event:
    """The envelope."""
    return {
        "id": f"evt_{next(_numbers):08}",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": at,
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
        "data": {"object": subject, **data},
    }


def check_out(
    at: int = T0, *, kind: str = "completed", session: str = "cs_1", customer: str = "cus_1", status: str = "paid",
    worth: int = 500, cents: int = 600, intent: str = "pi_pack", valid_days: str = "",
) -> Event:  # fmt: skip
    """A pack, bought by a check-out of ours."""
    return event(
        f"checkout.session.{kind}",
        {
            "id": session,
            "object": "checkout.session",
            "mode": "payment",
            "status": "complete",
            "payment_status": status,
            "customer": customer,
            "payment_intent": intent,
            "subscription": None,
            "amount_total": cents,
            "currency": "usd",
            "invoice": None,
            "metadata": {
                "workspace": "00000000-0000-0000-0000-000000000000",
                "pack": f"{worth} credits",
                "credits": str(worth),
                "valid_days": valid_days,
            },
        },
        at,
    )


def subscription(
    at: int = T0, *, kind: str = "updated", status: str = "active", name: str = "sub_1", customer: str = "cus_1",
    price: str = CREATOR, period: int = 0, begun: int = T0, cancels: bool = False, plan: str = "creator",
) -> Event:  # fmt: skip
    """A subscription in its `period`th month. The period is that of its items, as it is since 2025."""
    starts = begun + period * MONTH
    return event(
        f"customer.subscription.{kind}",
        {
            "id": name,
            "object": "subscription",
            "customer": customer,
            "status": status,
            "created": begun,
            "start_date": begun,
            "cancel_at": None,
            "cancel_at_period_end": cancels,
            "canceled_at": at if cancels or kind == "deleted" else None,
            "ended_at": at if kind == "deleted" else None,
            "collection_method": "charge_automatically",
            "currency": "usd",
            "metadata": {"workspace": "00000000-0000-0000-0000-000000000000", "plan": plan},
            "latest_invoice": f"in_{period + 1}",
            "items": {
                "object": "list",
                "has_more": False,
                "data": [
                    {
                        "id": "si_1",
                        "object": "subscription_item",
                        "current_period_start": starts,
                        "current_period_end": starts + MONTH,
                        "price": {"id": price, "object": "price", "product": "prod_1", "unit_amount": 1900},
                        "quantity": 1,
                        "subscription": name,
                    }
                ],
            },
        },
        at,
        **({"previous_attributes": {}} if kind == "updated" else {}),
    )


def line(price: str, cents: int, ends: int, *, is_part: bool = False) -> dict[str, Any]:
    return {
        "id": f"il_{next(_numbers):08}",
        "object": "line_item",
        "amount": cents,
        "currency": "usd",
        "parent": {
            "type": "subscription_item_details",
            "invoice_item_details": None,
            "subscription_item_details": {
                "invoice_item": None,
                "proration": is_part,
                "proration_details": {"credited_items": None},
                "subscription": "sub_1",
                "subscription_item": "si_1",
            },
        },
        "period": {"start": ends - MONTH, "end": ends},
        "pricing": {
            "type": "price_details",
            "price_details": {"price": price, "product": "prod_1"},
            "unit_amount_decimal": str(cents),
        },
        "quantity": 1,
    }


def invoice(
    at: int = T0, *, kind: str = "paid", name: str = "in_1", customer: str = "cus_1", period: int = 0,
    cents: int = 1900, price: str = CREATOR, lines: list[dict[str, Any]] | None = None, reason: str = "",
    begun: int = T0, plan: str = "creator",
) -> Event:  # fmt: skip
    """An invoice for the `period`th month. Its subscription stands under `parent`, as it does since 2025."""
    is_paid = kind != "payment_failed"
    return event(
        f"invoice.{kind}",
        {
            "id": name,
            "object": "invoice",
            "customer": customer,
            "status": "paid" if is_paid else "open",
            "billing_reason": reason or ("subscription_cycle" if period else "subscription_create"),
            "amount_due": cents,
            "amount_paid": cents if is_paid else 0,
            "amount_remaining": 0 if is_paid else cents,
            "attempt_count": 1,
            "currency": "usd",
            "created": begun + period * MONTH,
            "hosted_invoice_url": f"https://invoice.stripe.com/i/{name}",
            "lines": {
                "object": "list",
                "has_more": False,
                "data": lines if lines is not None else [line(price, cents, begun + (period + 1) * MONTH)],
            },
            "metadata": {},
            "number": "A-0001",
            "parent": {
                "type": "subscription_details",
                "quote_details": None,
                "subscription_details": {
                    "metadata": {"plan": plan},
                    "subscription": "sub_1",
                    "subscription_proration_date": None,
                },
            },
            "status_transitions": {
                "finalized_at": at, "marked_uncollectible_at": None, "paid_at": at if is_paid else None,
                "voided_at": None,
            },
        },
        at,
    )  # fmt: skip


def invoice_payment(at: int = T0, *, name: str = "in_1", intent: str = "pi_in_1") -> Event:
    """By which payment an invoice was paid: no longer on the invoice itself."""
    return event(
        "invoice_payment.paid",
        {
            "id": f"inpay_{name}",
            "object": "invoice_payment",
            "invoice": name,
            "amount_paid": 1900,
            "amount_requested": 1900,
            "currency": "usd",
            "created": at,
            "is_default": True,
            "payment": {"type": "payment_intent", "payment_intent": intent},
            "status": "paid",
            "status_transitions": {"canceled_at": None, "paid_at": at},
        },
        at,
    )


def charge(
    at: int = T0, *, kind: str = "succeeded", intent: str = "pi_pack", cents: int = 600, refunded: int = 0
) -> Event:
    return event(
        f"charge.{kind}",
        {
            "id": f"ch_{intent}",
            "object": "charge",
            "amount": cents,
            "amount_captured": cents,
            "amount_refunded": refunded,
            "currency": "usd",
            "customer": "cus_1",
            "payment_intent": intent,
            "receipt_url": f"https://pay.stripe.com/receipts/{intent}",
            "refunded": refunded == cents,
            "status": "succeeded",
        },
        at,
    )


def dispute(at: int = T0, *, status: str = "needs_response") -> Event:
    return event(
        "charge.dispute.created",
        {
            "id": "dp_1",
            "object": "dispute",
            "amount": 600,
            "currency": "usd",
            "charge": "ch_pi_pack",
            "payment_intent": "pi_pack",
            "reason": "fraudulent",
            "status": status,
        },
        at,
    )
