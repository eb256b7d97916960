"""Stripe, switched on, with the people's workspace as its customer cus_1."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from stripe import WebhookSignature

from billing.models import CreditPack, Customer, Plan
from mutoscope.accounts.models import User, Workspace
from mutoscope.accounts.services import create_workspace
from tests.billing.payments import shapes
from tests.billing.payments.fake_stripe import KEY, WEBHOOK_SECRET, FakeStripe, fake_stripe

WEBHOOK = "/api/v1/billing/stripe/webhook"

Send = Callable[..., HttpResponse]


@pytest.fixture
def stripe_on(settings: Any, db: None) -> Iterator[FakeStripe]:
    """Stripe is set up, at a fake on this machine, and plans and packs have prices there."""
    Plan.objects.filter(slug="creator").update(stripe_price=shapes.CREATOR)
    Plan.objects.filter(slug="studio").update(stripe_price=shapes.STUDIO)
    CreditPack.objects.filter(slug="small").update(stripe_price="price_small")
    with fake_stripe() as fake:
        settings.STRIPE_SECRET_KEY = KEY
        settings.STRIPE_WEBHOOK_SECRET = WEBHOOK_SECRET
        settings.STRIPE_API_BASE = fake.address
        yield fake


@pytest.fixture
def shop(alice: User, stripe_on: FakeStripe) -> Workspace:
    """Alice's workspace on the default plan, known to Stripe."""
    workspace = create_workspace(alice, "Alice & Co")
    Customer.objects.create(workspace=workspace, provider="stripe", provider_id="cus_1")
    return workspace


def signed(body: str, secret: str = WEBHOOK_SECRET, at: int | None = None) -> str:
    """A header by the library's own signature code."""
    return str(WebhookSignature.generate_signature_header(body, secret, at))


def post(body: str, signature: str) -> HttpResponse:
    """As Stripe posts it: nobody is signed in, and there is no CSRF token."""
    client = Client(enforce_csrf_checks=True)
    answer: Any = client.post(
        WEBHOOK, body.encode(), content_type="application/json", headers={"Stripe-Signature": signature}
    )
    return answer


@pytest.fixture
def hear(stripe_on: FakeStripe) -> Send:
    """Sends events to the webhook, signed, one after the other."""

    def send(*events: dict[str, Any]) -> HttpResponse:
        for event in events:
            body = json.dumps(event)
            answer = post(body, signed(body))
            assert answer.status_code == 200, answer.content
        return answer

    return send
