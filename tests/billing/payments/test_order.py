"""Every order of a story's events ends in the same state."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing import ledger
from billing.models import Payment, ProviderEvent, Subscription
from billing.payments import events
from billing.payments.base import Heard
from billing.payments.provider import provider
from mutoscope.accounts.models import Workspace
from tests.billing.payments import shapes
from tests.billing.payments.shapes import MONTH, STUDIO, T0, Event

pytestmark = pytest.mark.django_db

B = T0 - MONTH
"""Subscriptions of these stories began a month ago."""
SUBSCRIBED = [
    shapes.subscription(B, kind="created", status="incomplete", begun=B),
    shapes.subscription(B, begun=B),
    shapes.invoice(B + 1, begun=B),
    shapes.invoice(B + 1, kind="payment_succeeded", begun=B),
    shapes.invoice_payment(B + 1),
]
LATE = [
    shapes.subscription(T0, begun=B, period=1, status="past_due"),
    shapes.invoice(T0 + 1, kind="payment_failed", name="in_2", begun=B, period=1),
    shapes.invoice(T0 + 9, kind="payment_failed", name="in_2", begun=B, period=1),
]
STORIES: dict[str, list[Event]] = {
    "late": [*SUBSCRIBED, *LATE],
    "paid after all": [
        *SUBSCRIBED,
        *LATE,
        shapes.invoice(T0 + 20, name="in_2", begun=B, period=1),
        shapes.subscription(T0 + 20, begun=B, period=1),
    ],
    "given up": [*SUBSCRIBED, *LATE, shapes.subscription(T0 + 30, kind="deleted", status="canceled", begun=B)],
    "cancelled": [*SUBSCRIBED, shapes.subscription(B + 50, begun=B, cancels=True)],
    "cancelled for later": [*SUBSCRIBED, shapes.subscription(T0, begun=B, period=1, cancels=True)],
    "grace is over": [
        shapes.subscription(B, begun=B),
        shapes.invoice(B + 1, kind="payment_failed", begun=B, period=-1),
        shapes.subscription(B + 2, begun=B, status="past_due"),
    ],
    "ended, and another begun": [
        *SUBSCRIBED,
        shapes.subscription(T0, kind="deleted", status="canceled", begun=B),
        shapes.subscription(T0 + 5, kind="created", name="sub_2", price=STUDIO, begun=T0 + 5),
        shapes.invoice(T0 + 6, name="in_9", price=STUDIO, cents=14900, begun=T0 + 5),
    ],
    "another begun, and the first ended": [
        *SUBSCRIBED,
        shapes.subscription(T0 - 9, kind="created", name="sub_2", price=STUDIO, begun=T0 - 9),
        shapes.subscription(T0, kind="deleted", status="canceled", begun=B),
    ],
    "two, and the later ended": [
        *SUBSCRIBED,
        shapes.subscription(T0, kind="created", name="sub_2", price=STUDIO, begun=T0),
        shapes.subscription(T0 + 5, kind="deleted", status="canceled", name="sub_2", price=STUDIO, begun=T0),
    ],
    "paid back": [
        *SUBSCRIBED,
        shapes.charge(B + 2),
        shapes.check_out(B + 2),
        shapes.charge(B + 3, kind="refunded", refunded=200),
        shapes.charge(B + 4, kind="refunded", refunded=600),
        shapes.charge(B + 9, kind="refunded", intent="pi_in_1", cents=1900, refunded=500),
    ],
    "a slow bank": [
        shapes.check_out(status="unpaid"),
        shapes.check_out(T0 + 5, kind="async_payment_succeeded"),
        shapes.charge(T0 + 6, kind="refunded", refunded=100),
    ],
}


def tell(story: list[Event]) -> None:
    till = provider()
    for event in story:
        heard = Heard(
            event_id=event["id"],
            kind=event["type"],
            created_at=datetime.fromtimestamp(event["created"], UTC),
            payload=event,
        )
        events.take_in(till, events.keep(till, heard).pk)
    for _ in range(3):
        events.try_again(till)


def state_of(workspace: Workspace) -> dict[str, Any]:
    columns = ("plan", "provider", "provider_id", "paid_until", "ends_at", "grace_until")
    payments = Payment.objects.order_by("provider_id")
    return {
        "subscription": list(Subscription.objects.values(*columns)),
        "payments": list(payments.values("provider_id", "state", "credits", "refunded_cents", "receipt_url")),
        "credits": [(lot.credits, lot.expires_at) for lot in ledger.balance(workspace.pk).lots],
        "waiting": ProviderEvent.objects.filter(processed_at=None).count(),
    }


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_order_ends_in_the_same_state(shop: Workspace, data: st.DataObject) -> None:
    story = STORIES[data.draw(st.sampled_from(sorted(STORIES)))]
    twice = data.draw(st.lists(st.sampled_from(story), max_size=3))
    ends = []
    for order in (story, data.draw(st.permutations([*story, *twice]))):
        with transaction.atomic():
            tell(order)
            ends.append(state_of(shop))
            transaction.set_rollback(True)
    assert ends[0] == ends[1]
    assert ends[0]["waiting"] == 0


def test_the_stories_end_as_they_should(shop: Workspace) -> None:
    plans = {}
    for name, story in STORIES.items():
        with transaction.atomic():
            tell(story)
            plans[name] = Subscription.objects.values_list("plan", flat=True).first()
            transaction.set_rollback(True)
    assert plans == {
        "late": "creator",
        "paid after all": "creator",
        "given up": None,
        "cancelled": None,  # its last day was an hour ago
        "cancelled for later": "creator",
        "grace is over": "free",
        "ended, and another begun": "studio",
        "another begun, and the first ended": "studio",
        "two, and the later ended": "creator",
        "paid back": "creator",
        "a slow bank": None,
    }
