"""What Stripe tells us takes effect once, in whatever order it comes."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.utils import timezone

from billing import ledger
from billing.entitlements import entitlements_of
from billing.models import Entry, Payment, Plan, ProviderEvent, Subscription
from billing.payments import events, subscriptions
from billing.payments.provider import provider
from billing.services import subscribe
from billing.tasks import settle_payments
from mutoscope.accounts.models import User, Workspace
from tests.billing.payments import shapes
from tests.billing.payments.conftest import Send, post, signed
from tests.billing.payments.shapes import MONTH, STUDIO, T0

pytestmark = pytest.mark.django_db


def credits_of(workspace: Workspace) -> int:
    return ledger.balance(workspace.pk).available


def plan_of(workspace: Workspace) -> str:
    return entitlements_of(workspace.pk).slug


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def test_a_subscription_s_whole_life(shop: Workspace, hear: Send) -> None:
    hear(shapes.subscription(kind="created", status="incomplete"), shapes.subscription(T0 + 2))
    hear(shapes.invoice(T0 + 1), shapes.invoice(T0 + 1, kind="payment_succeeded"), shapes.invoice_payment(T0 + 1))
    row = Subscription.objects.get(workspace=shop)
    assert (plan_of(shop), credits_of(shop), row.paid_until) == ("creator", 2_000, at(T0 + MONTH))
    (lot,) = ledger.balance(shop.pk).lots
    assert lot.expires_at == at(T0 + MONTH) + timedelta(days=1)
    paid = Payment.objects.get(provider_id="in_1")
    assert (paid.state, paid.credits, paid.payment_intent) == ("paid", 2_000, "pi_in_1")
    assert paid.receipt_url == "https://invoice.stripe.com/i/in_1"

    hear(shapes.subscription(T0 + MONTH, period=1), shapes.invoice(T0 + MONTH, name="in_2", period=1))
    row.refresh_from_db()
    assert (row.paid_until, Payment.objects.filter(state="paid").count()) == (at(T0 + 2 * MONTH), 2)
    assert not mail.outbox


def test_a_renewal_that_fails_ends_in_the_default_plan(
    shop: Workspace, hear: Send, alice: User, django_capture_on_commit_callbacks: Any
) -> None:
    begun = T0 - MONTH - 3600
    hear(shapes.subscription(begun, begun=begun), shapes.invoice(begun, begun=begun))
    failed = [
        shapes.subscription(T0, begun=begun, period=1, status="past_due"),
        shapes.invoice(T0, kind="payment_failed", name="in_2", period=1, begun=begun),
    ]
    with django_capture_on_commit_callbacks(execute=True):
        hear(*failed, *failed)
    row = Subscription.objects.get(workspace=shop)
    assert plan_of(shop) == "creator"
    assert row.grace_until == at(begun + MONTH) + timedelta(days=7)
    assert row.paid_until == at(begun + MONTH)
    (letter,) = mail.outbox
    assert letter.bcc == [alice.email]
    assert f"{row.grace_until:%Y-%m-%d}" in letter.body

    settle_payments()
    assert plan_of(shop) == "creator"
    Subscription.objects.update(grace_until=timezone.now() - timedelta(seconds=1))
    settle_payments()
    assert (plan_of(shop), credits_of(shop)) == ("free", 2_000)
    row.refresh_from_db()
    assert (row.provider, row.provider_id, row.grace_until) == ("", "sub_1", None)

    hear(
        shapes.invoice(T0 + 9, name="in_2", period=1, begun=begun),
        shapes.subscription(T0 + 9, begun=begun, period=1),
    )
    row.refresh_from_db()
    assert (plan_of(shop), row.provider, row.paid_until) == ("creator", "stripe", at(begun + 2 * MONTH))


def test_grace_that_is_over_is_not_given_again(shop: Workspace, hear: Send, settings: Any) -> None:
    begun = T0 - MONTH - 9 * 86400
    hear(shapes.subscription(begun, begun=begun), shapes.invoice(begun, begun=begun))
    late = shapes.subscription(T0, begun=begun, period=1, status="past_due")
    hear(shapes.invoice(T0, kind="payment_failed", name="in_2", period=1, begun=begun), late)
    assert plan_of(shop) == "free"
    hear(shapes.subscription(T0 + 5, begun=begun, period=1, status="past_due"))
    assert plan_of(shop) == "free"


def test_a_cancelled_subscription_runs_to_its_end(shop: Workspace, hear: Send) -> None:
    hear(shapes.subscription(), shapes.subscription(T0 + 5, cancels=True))
    row = Subscription.objects.get(workspace=shop)
    assert (plan_of(shop), row.ends_at) == ("creator", at(T0 + MONTH))
    hear(shapes.subscription(T0 + 6))  # thought better of it
    row.refresh_from_db()
    assert row.ends_at is None
    hear(shapes.subscription(T0 + 7, cancels=True))
    Subscription.objects.update(ends_at=timezone.now())
    assert subscriptions.end_overdue() == 1
    assert subscriptions.end_overdue() == 0
    assert plan_of(shop) == "free"
    hear(shapes.subscription(T0 + 9, kind="deleted", status="canceled"))
    assert not Subscription.objects.exists()


def test_a_plan_that_an_operator_gave_is_not_taken_by_an_old_subscription(shop: Workspace, hear: Send) -> None:
    hear(shapes.subscription(), shapes.subscription(T0 + 1, kind="deleted", status="canceled"))
    subscribe(shop, Plan.objects.get(slug="enterprise"))
    hear(shapes.subscription(T0 + 2, kind="deleted", status="canceled"))
    assert plan_of(shop) == "enterprise"


def test_going_up_brings_a_share_of_the_credits(shop: Workspace, hear: Send) -> None:
    parts = [
        shapes.line(shapes.CREATOR, -950, T0 + MONTH, is_part=True),
        shapes.line(STUDIO, 7_450, T0 + MONTH, is_part=True),
    ]
    hear(shapes.subscription(), shapes.invoice())
    hear(shapes.invoice(T0 + 60, name="in_2", cents=6_500, lines=parts, reason="subscription_update"))
    hear(shapes.subscription(T0 + 60, price=STUDIO))
    assert (plan_of(shop), credits_of(shop)) == ("studio", 2_000 - 1_000 + 10_000)


def test_who_bought_at_an_old_price_keeps_the_plan(shop: Workspace, hear: Send) -> None:
    Plan.objects.filter(slug="creator").update(stripe_price="price_dearer")
    hear(shapes.subscription(), shapes.invoice())
    assert (plan_of(shop), credits_of(shop)) == ("creator", 2_000)


def test_a_pack(shop: Workspace, hear: Send) -> None:
    hear(shapes.charge())  # comes first, and says where the receipt is
    assert ProviderEvent.objects.get().problem == "the payment pi_pack is not known here yet"
    hear(shapes.check_out(valid_days="90"))
    settle_payments()
    payment = Payment.objects.get()
    assert (payment.state, payment.credits, payment.amount_cents) == ("paid", 500, 600)
    assert payment.receipt_url == "https://pay.stripe.com/receipts/pi_pack"
    (lot,) = ledger.balance(shop.pk).lots
    assert (lot.credits, lot.expires_at) == (500, at(T0) + timedelta(days=90))
    assert not ProviderEvent.objects.filter(processed_at=None).exists()


def test_a_bank_that_takes_days(shop: Workspace, hear: Send) -> None:
    hear(shapes.check_out(status="unpaid"))
    assert (Payment.objects.get().state, credits_of(shop)) == ("open", 0)
    hear(shapes.check_out(T0 + 5, kind="async_payment_succeeded"), shapes.check_out(status="unpaid"))
    assert (Payment.objects.get().state, credits_of(shop)) == ("paid", 500)
    hear(shapes.check_out(session="cs_2", status="unpaid"))
    hear(shapes.check_out(T0 + 5, session="cs_2", kind="async_payment_failed", status="unpaid"))
    assert (Payment.objects.get(provider_id="cs_2").state, credits_of(shop)) == ("failed", 500)


def test_refunds_take_what_is_left(shop: Workspace, hear: Send, mailoutbox: list[Any], caplog: Any) -> None:
    hear(shapes.check_out())
    hear(shapes.charge(T0 + 1, kind="refunded", refunded=300))
    assert (Payment.objects.get().state, credits_of(shop)) == ("paid", 250)
    hear(
        shapes.charge(T0 + 2, kind="refunded", refunded=600), shapes.charge(T0 + 1, kind="refunded", refunded=300)
    )
    assert (Payment.objects.get().state, credits_of(shop)) == ("refunded", 0)
    assert "spent" not in caplog.text


def test_a_refund_after_spending(
    shop: Workspace, hear: Send, caplog: Any, django_capture_on_commit_callbacks: Any
) -> None:
    hear(shapes.check_out())
    ledger.hold(shop.pk, shop.pk, 400)
    ledger.settle(shop.pk, 400)
    ledger.add(shop.pk, 30, Entry.Kind.GRANT, reason="test")
    with django_capture_on_commit_callbacks(execute=True):
        hear(shapes.charge(T0 + 1, kind="refunded", refunded=600))
    assert credits_of(shop) == 0
    reasons = {entry.reason for entry in Entry.objects.filter(kind="reversal")}
    assert reasons == {"500 credits: 6.00 USD paid back; of 500 credits only 130 were left"}
    assert "of 500 credits 370 had been spent" in caplog.text


def test_a_refunded_month_takes_its_own_credits_first(shop: Workspace, hear: Send) -> None:
    ledger.add(shop.pk, 50, Entry.Kind.GRANT, reason="sooner", expires_at=timezone.now() + timedelta(days=1))
    hear(shapes.charge(T0 + 9, kind="refunded", intent="pi_in_1", cents=1900, refunded=1900))
    hear(shapes.invoice_payment(), shapes.invoice(), shapes.subscription())
    for _ in range(2):
        settle_payments()
    assert [lot.credits for lot in ledger.balance(shop.pk).lots] == [50]
    assert Payment.objects.get().state == "refunded"
    assert plan_of(shop) == "creator"


def test_what_nobody_knows_is_kept_with_its_problem(shop: Workspace, hear: Send) -> None:
    hear(shapes.check_out(customer="cus_else"), shapes.subscription(customer="cus_else"))
    hear(shapes.subscription(price="price_else", plan="gone"))
    hear(shapes.invoice(price="price_else", plan="gone"))
    broken = shapes.subscription()
    del broken["data"]["object"]["items"]
    hear(broken)
    problems = list(ProviderEvent.objects.order_by("id").values_list("problem", flat=True))
    assert problems == [
        "no workspace is the customer cus_else at stripe",
        "no workspace is the customer cus_else at stripe",
        "no plan has the price price_else at the provider; enter it in the plan's stripe_price",
        "no plan has one of the invoice's prices at the provider: price_else",
        "the event has API version 2026-10-28.endive, and not the shape of 2026-10-28.endive: KeyError 'items'",
    ]
    assert not Payment.objects.exists()
    assert not Subscription.objects.exists()
    ProviderEvent.objects.filter(event_id=broken["id"]).delete()
    Plan.objects.filter(slug="creator").update(stripe_price="price_else")
    settle_payments()
    assert (plan_of(shop), credits_of(shop)) == ("creator", 2_000)


def test_operators_hear_of_disputes_and_of_events_that_stay_stuck(
    shop: Workspace, hear: Send, caplog: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        hear(shapes.dispute())
    assert "The dispute dp_1 is about 6.00 USD" in caplog.text
    hear(shapes.subscription(customer="cus_else"))
    settle_payments()
    assert "cannot take effect" not in caplog.text
    ProviderEvent.objects.update(received_at=timezone.now() - timedelta(hours=2))
    settle_payments()
    assert "1 events of stripe have had a problem for more than an hour" in caplog.text
    assert events.set_aside(ProviderEvent.objects.all()) == 1
    assert events.try_again(provider()) == 0


def test_two_subscriptions_at_once(shop: Workspace, hear: Send, caplog: Any) -> None:
    hear(shapes.subscription(), shapes.subscription(T0 + 9, name="sub_2", price=STUDIO, begun=T0 + 5))
    assert plan_of(shop) == "studio"
    assert "has sub_1, sub_2 at stripe" in caplog.text
    hear(shapes.subscription(T0 + 10, name="sub_2", begun=T0 + 5, price=STUDIO, kind="deleted", status="canceled"))
    assert plan_of(shop) == "creator"


def test_kinds_of_no_interest_are_kept_and_done(shop: Workspace, hear: Send) -> None:
    hear(shapes.event("customer.updated", {"id": "cus_1", "object": "customer"}, T0))
    assert ProviderEvent.objects.get().processed_at is not None


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_the_same_event_in_many_threads_at_once(shop: Workspace, hear: Send) -> None:
    bodies = [json.dumps(shapes.check_out()), json.dumps(shapes.invoice()), json.dumps(shapes.subscription())]
    signatures = [signed(body) for body in bodies]
    answers: list[int] = []
    barrier = threading.Barrier(12)

    def send(number: int) -> None:
        try:
            barrier.wait()
            answers.append(post(bodies[number % 3], signatures[number % 3]).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=send, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 12
    assert (ProviderEvent.objects.count(), Payment.objects.count(), Entry.objects.count()) == (3, 2, 2)
    assert not ProviderEvent.objects.filter(processed_at=None).exists()
    assert (plan_of(shop), credits_of(shop)) == ("creator", 2_500)
