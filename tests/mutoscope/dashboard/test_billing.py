"""Plans and credits: what the page shows, and who may go to the till."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from billing.models import CreditPack, Customer, Entry, Plan, Subscription
from billing.services import subscribe
from mutoscope.accounts.models import Workspace
from tests.billing.payments.fake_stripe import KEY, WEBHOOK_SECRET, FakeStripe, fake_stripe

PAGE = reverse("dashboard:billing")
PORTAL = reverse("dashboard:portal")
BUY_PACK = reverse("dashboard:buy_pack", args=["small"])
BUY_PLAN = reverse("dashboard:buy_plan", args=["creator"])


@pytest.fixture
def stripe_on(settings: Any, db: None) -> Iterator[FakeStripe]:
    Plan.objects.filter(slug="creator").update(stripe_price="price_creator")
    CreditPack.objects.filter(slug="small").update(stripe_price="price_small")
    with fake_stripe() as fake:
        settings.STRIPE_SECRET_KEY, settings.STRIPE_WEBHOOK_SECRET = KEY, WEBHOOK_SECRET
        settings.STRIPE_API_BASE = fake.address
        yield fake


def test_nothing_to_buy_when_it_is_off(alices: Client, settings: Any) -> None:
    settings.BILLING_CONTACT = "money@example.com"
    html = alices.get(PAGE).content.decode()
    assert 'href="mailto:money@example.com"' in html
    assert "20,000 credits a month" in html
    assert "Your plan" in html
    assert "Subscribe" not in html
    assert "Credits by the pack" not in html
    answer = alices.post(BUY_PACK, {"once": str(uuid4())}, follow=True)
    assert "nothing can be bought online here; ask money@example.com" in answer.content.decode()


def test_what_is_on_sale(alices: Client, stripe_on: FakeStripe) -> None:
    html = alices.get(PAGE).content.decode()
    assert 'aria-label="Subscribe to Creator"' in html
    assert 'aria-label="Buy 500 credits"' in html
    assert "1.20 USD for 100" in html
    assert "10,000 credits</h3>" not in html  # it has no price at Stripe
    assert PORTAL not in html


def test_to_the_till(alices: Client, stripe_on: FakeStripe, workspace: Workspace) -> None:
    answer = alices.post(BUY_PACK, {"once": str(uuid4())})
    assert (answer.status_code, answer["Location"]) == (302, "https://checkout.stripe.com/c/pay/cs_2")
    form = stripe_on.calls[-1].form
    assert form["success_url"] == "http://127.0.0.1:8000/billing?bought"
    assert form["client_reference_id"] == str(workspace.pk)
    answer = alices.post(BUY_PLAN, {"once": str(uuid4())})
    assert answer["Location"] == "https://checkout.stripe.com/c/pay/cs_3"
    answer = alices.post(PORTAL)
    assert answer["Location"] == "https://billing.stripe.com/p/session/bps_4"
    assert alices.post(BUY_PACK, {"once": "nonsense"}).status_code == 404


def test_coming_back_gives_nothing(alices: Client, stripe_on: FakeStripe) -> None:
    html = alices.get(f"{PAGE}?bought", follow=True).content.decode()
    assert "as soon as the payment is confirmed" in html
    assert not Entry.objects.exists()


def test_how_the_subscription_stands(alices: Client, stripe_on: FakeStripe, workspace: Workspace) -> None:
    Customer.objects.create(workspace=workspace, provider="stripe", provider_id="cus_1")
    row = subscribe(workspace, Plan.objects.get(slug="studio"))
    row.provider, row.provider_id, row.paid_until = "stripe", "sub_1", timezone.now() + timedelta(days=9)
    row.save()
    html = alices.get(PAGE).content.decode()
    assert "It renews on" in html
    assert 'aria-label="Change to Creator in the customer portal"' in html
    row.ends_at = row.paid_until
    row.save()
    assert "has been cancelled, and ends on" in alices.get(PAGE).content.decode()
    row.grace_until = row.paid_until
    row.save()
    html = alices.get(PAGE).content.decode()
    assert "The last payment could not be collected" in html
    assert "Pay in the portal" in html
    Subscription.objects.update(provider="", grace_until=None, ends_at=None, plan="free")
    assert "The subscription has not been paid" in alices.get(PAGE).content.decode()


def test_only_managers_buy(
    alices: Client, bobs: Client, charlies: Client, stripe_on: FakeStripe, workspace: Workspace
) -> None:
    Customer.objects.create(workspace=workspace, provider="stripe", provider_id="cus_1")
    html = bobs.get(PAGE).content.decode()
    assert "Owners and managers of the workspace buy" in html
    assert '<form method="post" action="/billing' not in html
    for path in (BUY_PACK, BUY_PLAN, PORTAL):
        assert bobs.post(path, {"once": str(uuid4())}).status_code == 403
        assert alices.get(path).status_code == 405
        assert Client().post(path).status_code == 302
    assert Client().get(PAGE).status_code == 302
    assert stripe_on.calls == []
    html = charlies.get(PAGE).content.decode()
    assert "Alice" not in html
    assert "has bought nothing yet" in charlies.post(PORTAL, follow=True).content.decode()


def test_a_provider_that_is_away(alices: Client, stripe_on: FakeStripe) -> None:
    stripe_on.failures = [(400, {"error": {"type": "invalid_request_error", "message": "No such price: secret"}})]
    html = alices.post(
        BUY_PACK, {"once": str(uuid4())}, follow=True, headers={"Referer": "http://testserver/billing"}
    )
    assert "nothing was charged; try again in a minute" in html.content.decode()
    assert "No such price" not in html.content.decode()
