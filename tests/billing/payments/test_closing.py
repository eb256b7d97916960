"""A workspace is deleted: the provider forgets it, and what it told us names nobody any more."""

from __future__ import annotations

import json
from math import inf
from typing import Any

import pytest

from billing.models import Customer, Payment, ProviderEvent, Subscription
from billing.payments import closing, stripe_events
from generation import audit
from generation.deletion import workspaces
from mutoscope.accounts.models import Workspace
from tests.billing.payments import shapes
from tests.billing.payments.conftest import Send
from tests.billing.payments.fake_stripe import FakeStripe

PERSON = {"email": "alice@example.org", "name": "Alice Liddell", "phone": "+44 1865"}


def with_a_person(event: dict[str, Any]) -> dict[str, Any]:
    """As Stripe sends it: details of the customer lie in many places."""
    subject = event["data"]["object"]
    subject |= {"customer_details": PERSON, "customer_email": PERSON["email"], "billing_details": PERSON}
    return event


def words() -> str:
    return json.dumps(list(ProviderEvent.objects.values_list("payload", flat=True)))


def test_the_customer_is_deleted_there_and_nothing_here_names_anybody(
    shop: Workspace, hear: Send, stripe_on: FakeStripe
) -> None:
    hear(with_a_person(shapes.subscription(kind="created")), with_a_person(shapes.invoice()))
    hear(with_a_person(shapes.check_out()))
    payments = list(Payment.objects.order_by("pk").values_list("pk", "amount_cents", "state", "credits"))
    assert Subscription.objects.get().provider_id == "sub_1"
    assert "Liddell" in words()
    workspaces.delete(shop.pk)
    assert workspaces.carry_on(until=inf) == 1
    assert stripe_on.deleted == ["cus_1"]
    assert "Liddell" not in words()
    assert "alice@" not in words()
    assert not Subscription.objects.exists()
    assert list(Payment.objects.order_by("pk").values_list("pk", "amount_cents", "state", "credits")) == payments
    assert not Payment.objects.exclude(receipt_url="").exists()
    assert list(audit.problems()) == []


def test_what_stripe_tells_afterwards_is_taken_in_and_names_nobody(
    shop: Workspace, hear: Send, stripe_on: FakeStripe
) -> None:
    hear(shapes.subscription(kind="created"), shapes.check_out())
    workspaces.delete(shop.pk)
    workspaces.carry_on(until=inf)
    hear(with_a_person(shapes.subscription(shapes.T0 + 60, kind="deleted", status="canceled")))
    event = ProviderEvent.objects.get(kind="customer.subscription.deleted")
    assert (event.problem, bool(event.processed_at)) == ("", True)
    assert "Liddell" not in words()
    assert not Subscription.objects.exists()


def test_a_provider_that_is_away_is_asked_again(shop: Workspace, stripe_on: FakeStripe) -> None:
    workspaces.delete(shop.pk)
    stripe_on.failures += [(500, {"error": {"type": "api_error"}})] * 4
    assert workspaces.carry_on(until=inf) == 0
    stripe_on.failures.clear()
    assert workspaces.carry_on(until=inf) == 1
    assert stripe_on.deleted == ["cus_1"]
    closing.leave(shop.pk)  # once more: Stripe does not know it any longer
    assert stripe_on.deleted == ["cus_1"]


def test_a_customer_of_a_provider_that_is_switched_off_is_told_to_operators(
    shop: Workspace, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.STRIPE_SECRET_KEY = ""
    workspaces.delete(shop.pk)
    assert workspaces.carry_on(until=inf) == 1
    assert "cus_1 at stripe" in caplog.text
    assert Customer.objects.get().provider_id == "cus_1"


@pytest.mark.parametrize(
    "event",
    [
        shapes.check_out(), shapes.subscription(), shapes.invoice(), shapes.invoice(kind="payment_failed"),
        shapes.invoice_payment(), shapes.charge(kind="refunded", refunded=100), shapes.dispute(),
    ],
    ids=lambda event: event["type"],
)  # fmt: skip
def test_without_people_an_event_says_the_same(event: dict[str, Any]) -> None:
    bare = stripe_events.without_people(with_a_person(json.loads(json.dumps(event))))
    assert "Liddell" not in json.dumps(bare)
    before, after = stripe_events.read(event), stripe_events.read(bare)
    assert after is not None
    assert str(after).replace("receipt_url=''", "") == _without_receipt(before)


def _without_receipt(news: Any) -> str:
    url = getattr(news, "receipt_url", None)
    return str(news) if url is None else str(news).replace(f"receipt_url={url!r}", "")
