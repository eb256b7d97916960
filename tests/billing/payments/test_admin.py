"""Operators look at events with problems, have them tried again, or set them aside."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

import mutoscope.urls  # noqa: F401  it registers the admin's models
from billing.models import CreditPack, Plan, ProviderEvent, Subscription
from mutoscope.accounts.models import User, Workspace
from tests.billing.payments import shapes
from tests.billing.payments.conftest import Send

pytestmark = pytest.mark.django_db
EVENTS = reverse("admin:billing_providerevent_changelist")


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("op@example.org", "correct horse battery"))
    return client


def _do(operator: Client, action: str) -> str:
    chosen = [str(pk) for pk in ProviderEvent.objects.values_list("pk", flat=True)]
    answer = operator.post(EVENTS, {"action": action, "_selected_action": chosen}, follow=True)
    return answer.content.decode()


def test_an_event_is_processed_again_once_its_cause_is_mended(
    shop: Workspace, hear: Send, operator: Client
) -> None:
    hear(shapes.subscription(price="price_new", plan=""), shapes.check_out())
    page = operator.get(EVENTS, {"state": "problem"})
    assert "no plan has the price price_new" in page.content.decode()
    assert page.context["cl"].result_count == 1
    assert "0 took effect; 1 still have a problem; 1 had taken effect before" in _do(operator, "process_again")
    Plan.objects.filter(slug="studio").update(stripe_price="price_new")
    assert "1 took effect; 0 still have a problem" in _do(operator, "process_again")
    assert Subscription.objects.get().plan_id == "studio"
    assert operator.get(EVENTS, {"state": "done"}).context["cl"].result_count == 2


def test_an_event_is_set_aside(stripe_on: object, hear: Send, operator: Client) -> None:
    hear(shapes.subscription(customer="cus_of_another_shop"))
    assert "1 set aside" in _do(operator, "set_aside")
    assert operator.get(EVENTS, {"state": "set_aside"}).context["cl"].result_count == 1
    assert "0 took effect; 0 still have a problem; 1 had" in _do(operator, "process_again")


def test_what_the_provider_said_is_not_edited(shop: Workspace, hear: Send, operator: Client) -> None:
    hear(shapes.check_out())
    for name in ("providerevent", "payment", "customer"):
        page = f"admin:billing_{name}"
        assert operator.get(reverse(f"{page}_add")).status_code == 403
        assert operator.get(reverse(f"{page}_changelist")).status_code == 200
    event = ProviderEvent.objects.get()
    html = operator.get(reverse("admin:billing_providerevent_change", args=[event.pk])).content.decode()
    assert 'name="_save"' not in html


def test_packs_are_edited(operator: Client) -> None:
    page = reverse("admin:billing_creditpack_change", args=["small"])
    fields = {"slug": "small", "name": "550 credits", "credits": 550, "price_cents": 600, "currency": "usd"}
    assert operator.post(page, fields).status_code == 302
    assert CreditPack.objects.get(slug="small").credits == 550
