"""What we ask of Stripe, by its own library over HTTP, and what we let in from outside."""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import Any
from uuid import uuid4

import pytest
from django.core.checks import Error
from django.db import connection
from django.test import Client

from billing.checks import stripe_is_whole
from billing.models import CreditPack, Customer, Plan, ProviderEvent, Subscription
from billing.payments import shop as till
from billing.payments.base import Back, NotSoldOnline, ProviderUnavailable
from billing.payments.manual import ManualProvider
from billing.payments.provider import provider
from mutoscope.accounts.models import User, Workspace
from mutoscope.accounts.services import create_workspace
from mutoscope.errors import Conflict, NotFound
from tests.billing.payments import shapes
from tests.billing.payments.conftest import WEBHOOK, Send, post, signed
from tests.billing.payments.fake_stripe import KEY, WEBHOOK_SECRET, FakeStripe
from tests.conftest import is_problem

pytestmark = pytest.mark.django_db
BACK = Back("https://clips.example.com/billing?bought", "https://clips.example.com/billing")


@pytest.fixture
def fresh(alice: User, stripe_on: FakeStripe) -> Workspace:
    """A workspace that Stripe does not know."""
    return create_workspace(alice, "Alice & Co")


def test_a_pack_is_checked_out(fresh: Workspace, stripe_on: FakeStripe) -> None:
    assert till.check_out_pack(fresh, "small", BACK, uuid4()) == "https://checkout.stripe.com/c/pay/cs_2"
    customer, session = stripe_on.calls
    assert (customer.path, customer.form) == (
        "/v1/customers", {"name": "Alice & Co", "metadata[workspace]": str(fresh.pk)},
    )  # fmt: skip
    assert session.path == "/v1/checkout/sessions"
    assert session.form == {
        "mode": "payment",
        "customer": "cus_1",
        "client_reference_id": str(fresh.pk),
        "line_items[0][price]": "price_small",
        "line_items[0][quantity]": "1",
        "success_url": BACK.bought,
        "cancel_url": BACK.cancelled,
        **{
            f"{where}[{key}]": value
            for where in ("metadata", "payment_intent_data[metadata]")
            for key, value in (
                ("workspace", str(fresh.pk)), ("pack", "500 credits"), ("credits", "500"), ("valid_days", ""),
            )
        },
    }  # fmt: skip
    assert session.headers["stripe-version"] == "2026-10-28.endive"
    assert session.headers["idempotency-key"].startswith("mutoscope-")
    assert Customer.objects.get(workspace=fresh).provider_id == "cus_1"


def test_a_plan_is_checked_out(fresh: Workspace, stripe_on: FakeStripe) -> None:
    till.check_out_plan(fresh, "creator", BACK, uuid4())
    form = stripe_on.calls[-1].form
    assert (form["mode"], form["line_items[0][price]"]) == ("subscription", shapes.CREATOR)
    assert form["subscription_data[metadata][plan]"] == form["metadata[plan]"] == "creator"
    assert form["subscription_data[metadata][workspace]"] == str(fresh.pk)


def test_a_double_click_is_one_check_out(fresh: Workspace, stripe_on: FakeStripe) -> None:
    once = uuid4()
    first = till.check_out_pack(fresh, "small", BACK, once)
    assert till.check_out_pack(fresh, "small", BACK, once) == first
    assert till.check_out_pack(fresh, "small", BACK, uuid4()) != first
    CreditPack.objects.filter(slug="small").update(credits=600)
    assert till.check_out_pack(fresh, "small", BACK, once) != first  # something else, and no error
    assert stripe_on.made == 1 + 3


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_customer_is_made_once(fresh: Workspace, stripe_on: FakeStripe) -> None:
    barrier = threading.Barrier(6)

    def buy() -> None:
        try:
            barrier.wait()
            till.check_out_pack(fresh, "small", BACK, uuid4())
        finally:
            connection.close()

    threads = [threading.Thread(target=buy) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sessions = [call for call in stripe_on.calls if call.path == "/v1/checkout/sessions"]
    assert len(sessions) == 6
    assert {call.form["customer"] for call in sessions} == {Customer.objects.get().provider_id}
    assert stripe_on.made == 1 + 6


def test_the_portal(fresh: Workspace, stripe_on: FakeStripe) -> None:
    with pytest.raises(Conflict, match="has bought nothing yet"):
        till.portal(fresh, BACK.cancelled)
    Customer.objects.create(workspace=fresh, provider="stripe", provider_id="cus_9")
    assert till.portal(fresh, BACK.cancelled) == "https://billing.stripe.com/p/session/bps_1"
    assert stripe_on.calls[-1].form == {"customer": "cus_9", "return_url": BACK.cancelled}


def test_what_cannot_be_bought(fresh: Workspace, stripe_on: FakeStripe) -> None:
    with pytest.raises(NotSoldOnline, match="the plan Enterprise cannot be bought online"):
        till.check_out_plan(fresh, "enterprise", BACK, uuid4())
    with pytest.raises(NotSoldOnline, match="10,000 credits cannot be bought online"):
        till.check_out_pack(fresh, "large", BACK, uuid4())
    CreditPack.objects.update(is_offered=False)
    with pytest.raises(NotFound):
        till.check_out_pack(fresh, "small", BACK, uuid4())
    with pytest.raises(NotFound):
        till.check_out_plan(fresh, "none", BACK, uuid4())
    Subscription.objects.create(workspace=fresh, plan=Plan.objects.get(slug="free"), provider_id="sub_1")
    with pytest.raises(Conflict, match="has a subscription already"):
        till.check_out_plan(fresh, "creator", BACK, uuid4())
    assert stripe_on.calls == []


def test_stripe_out_of_order(fresh: Workspace, stripe_on: FakeStripe, settings: Any, caplog: Any) -> None:
    body = {"error": {"type": "api_error", "message": "Something went wrong"}}
    stripe_on.failures = [(500, body)]
    assert till.check_out_pack(fresh, "small", BACK, uuid4())  # asked again, with the same key
    first, second, _ = stripe_on.calls
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    stripe_on.failures = [(500, body), (500, body)]
    with pytest.raises(ProviderUnavailable, match="nothing was charged"):
        till.check_out_pack(fresh, "small", BACK, uuid4())
    stripe_on.failures = [(400, {"error": {"type": "invalid_request_error", "message": "No such price"}})]
    with pytest.raises(ProviderUnavailable):
        till.check_out_pack(fresh, "small", BACK, uuid4())
    assert "InvalidRequestError, status 400" in caplog.text
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    with pytest.raises(ProviderUnavailable):
        till.check_out_pack(fresh, "small", BACK, uuid4())


def test_no_secret_is_ever_logged(
    shop: Workspace, stripe_on: FakeStripe, hear: Send, settings: Any, caplog: Any
) -> None:
    loggers = [logging.getLogger(name) for name in (None, "stripe", "urllib3", "django.request")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    caplog.handler.setLevel(logging.DEBUG)
    try:
        till.check_out_pack(shop, "small", BACK, uuid4())
        till.portal(shop, BACK.cancelled)
        hear(shapes.check_out(), shapes.subscription(customer="cus_else"))
        post("{}", signed("{}", "whsec_of-somebody-else"))
        stripe_on.failures = [(401, {"error": {"type": "invalid_request_error", "message": "Invalid API Key"}})]
        with pytest.raises(ProviderUnavailable) as refusal:
            till.check_out_pack(shop, "small", BACK, uuid4())
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
    assert "Request to Stripe api" in caplog.text  # it was listened to
    said = "\n".join([caplog.text, *map(repr, (provider(), refusal.value, refusal.value.__cause__))])
    assert KEY not in said
    assert WEBHOOK_SECRET not in said


@pytest.mark.parametrize(
    "signature",
    ["", "nonsense", "t=1,v1=é", "t=x,v1=00", "old", "another's", "of another body"],
)
def test_bad_signatures(stripe_on: FakeStripe, signature: str) -> None:
    body = json.dumps(shapes.check_out())
    made = {
        "old": signed(body, at=int(time.time()) - 301),
        "another's": signed(body, "whsec_else"),
        "of another body": signed(body.replace("500", "900")),
    }
    is_problem(post(body, made.get(signature, signature)), 400, "signature_invalid")
    assert not ProviderEvent.objects.exists()


def test_signed_but_no_event(stripe_on: FakeStripe) -> None:
    is_problem(post("{", signed("{")), 400, "signature_invalid")
    answer = Client().post(
        WEBHOOK, b"\xff\xfe", content_type="application/json", headers={"Stripe-Signature": "t=1"}
    )
    is_problem(answer, 400, "signature_invalid")
    is_problem(Client().get(WEBHOOK), 405, "method_not_allowed")
    large = "x" * ((1 << 20) + 1)
    is_problem(post(large, signed(large)), 413, "too_large")


def test_a_second_telling_is_welcome(shop: Workspace, hear: Send) -> None:
    event = shapes.check_out()
    assert hear(event, event).json() == {"received": True}
    assert ProviderEvent.objects.count() == 1


def test_off_unless_configured(workspace: Workspace, settings: Any) -> None:
    settings.BILLING_CONTACT = "money@example.com"
    for key, secret in (("", ""), (KEY, ""), ("", WEBHOOK_SECRET)):
        settings.STRIPE_SECRET_KEY, settings.STRIPE_WEBHOOK_SECRET = key, secret
        assert isinstance(provider(), ManualProvider)
        is_problem(post("{}", signed("{}")), 404, "not_found")
        for buy in (till.check_out_pack, till.check_out_plan):
            with pytest.raises(NotSoldOnline, match=r"ask money@example\.com"):
                buy(workspace, "small" if buy is till.check_out_pack else "creator", BACK, uuid4())
        with pytest.raises(NotSoldOnline):
            till.portal(workspace, BACK.cancelled)
        assert not till.packs_on_sale()


def test_half_a_set_up_is_told(settings: Any) -> None:
    assert stripe_is_whole() == []
    settings.STRIPE_SECRET_KEY = KEY
    (error,) = stripe_is_whole()
    assert isinstance(error, Error)
    assert (
        error.msg == "STRIPE_SECRET_KEY is set, but STRIPE_WEBHOOK_SECRET is not: Stripe needs both, and is off."
    )
    settings.STRIPE_WEBHOOK_SECRET = WEBHOOK_SECRET
    assert stripe_is_whole() == []
