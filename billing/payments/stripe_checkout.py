"""Stripe, by its official library: Checkout for packs and subscriptions, the customer portal, signed webhooks.

No secret is ever in a log, a message or a repr: the keys are in the client and in one private attribute, and what
Stripe answers to a mistake is logged by its type, code and request id alone.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import stripe

from billing.models import CreditPack, Customer, Plan
from billing.payments import stripe_events
from billing.payments.base import Back, Heard, News, NotGenuine, ProviderUnavailable, SubscriptionNews
from mutoscope.accounts.models import Workspace
from mutoscope.alerts import alert

log = logging.getLogger(__name__)

TIMEOUT = 10.0
"""Seconds that Stripe may take to answer: a person waits."""
RETRIES = 1
"""Of a request that got no answer; its idempotency key makes that safe."""


class StripeProvider:
    """See `Provider`. `api_base` is the address of Stripe's API, for tests; empty is Stripe's own."""

    name: str = stripe_events.PROVIDER
    sells: bool = True

    def __init__(self, secret_key: str, webhook_secret: str, api_base: str = "") -> None:
        self._webhook_secret = webhook_secret
        self._client = stripe.StripeClient(
            secret_key,
            base_addresses={"api": api_base} if api_base else None,
            max_network_retries=RETRIES,
            http_client=stripe.RequestsClient(timeout=TIMEOUT),
        )

    def check_out_pack(self, workspace: Workspace, pack: CreditPack, back: Back, once: UUID) -> str:
        # What was sold is written into the session: a pack that is edited meanwhile changes nothing of it.
        sold = {
            stripe_events.WORKSPACE: str(workspace.pk),
            stripe_events.PACK: pack.name,
            stripe_events.CREDITS: str(pack.credits),
            stripe_events.VALID_DAYS: str(pack.valid_days or ""),
        }
        more = {"mode": "payment", "metadata": sold, "payment_intent_data": {"metadata": sold}}
        return self._check_out(workspace, pack.stripe_price, back, once, more)

    def check_out_plan(self, workspace: Workspace, plan: Plan, back: Back, once: UUID) -> str:
        sold = {stripe_events.WORKSPACE: str(workspace.pk), stripe_events.PLAN: plan.slug}
        more = {"mode": "subscription", "metadata": sold, "subscription_data": {"metadata": sold}}
        return self._check_out(workspace, plan.stripe_price, back, once, more)

    def portal(self, workspace: Workspace, back: str) -> str:
        params: Any = {"customer": self._customer(workspace), "return_url": back}
        return str(_asked(lambda: self._client.v1.billing_portal.sessions.create(params)).url)

    def hear(self, body: bytes, signature: str) -> Heard:
        try:
            event = self._client.construct_event(body, signature, self._webhook_secret)
        except (stripe.SignatureVerificationError, ValueError, TypeError) as error:
            # TypeError: a signature that is not ASCII. Why exactly is nobody's business but the sender's.
            raise NotGenuine("the signature is not Stripe's, or older than 5 minutes") from error
        return Heard(
            event_id=event.id,
            kind=event.type,
            created_at=datetime.fromtimestamp(event.created, UTC),
            payload=json.loads(body),
        )

    def read(self, payload: dict[str, Any]) -> News | None:
        return stripe_events.read(payload)

    def forget(self, customer: str) -> None:
        def delete() -> None:
            try:
                self._client.v1.customers.delete(customer)
            except stripe.InvalidRequestError as error:
                if error.code != "resource_missing":  # it has been deleted before
                    raise

        _asked(delete)

    def without_people(self, payload: dict[str, Any]) -> dict[str, Any]:
        return stripe_events.without_people(payload)

    def subscriptions_of(self, customer: str) -> list[SubscriptionNews]:
        return stripe_events.subscriptions_of(customer)

    def _check_out(self, workspace: Workspace, price: str, back: Back, once: UUID, more: dict[str, Any]) -> str:
        params: Any = {
            "customer": self._customer(workspace),
            "client_reference_id": str(workspace.pk),
            "line_items": [{"price": price, "quantity": 1}],
            "success_url": back.bought,
            "cancel_url": back.cancelled,
            **more,
        }
        key = _key(f"check-out {workspace.pk} {once}", params)
        options: Any = {"idempotency_key": key}
        return str(_asked(lambda: self._client.v1.checkout.sessions.create(params, options)).url)

    def _customer(self, workspace: Workspace) -> str:
        """The workspace's customer at Stripe, made the first time.

        Of two requests at once both get the same customer from Stripe, by the idempotency key, and the row is
        made once, by its own key.
        """
        found = Customer.objects.filter(workspace=workspace, provider=self.name).first()
        if found is None:
            params: Any = {"name": workspace.name, "metadata": {stripe_events.WORKSPACE: str(workspace.pk)}}
            options: Any = {"idempotency_key": _key(f"customer {workspace.pk}", params)}
            made = _asked(lambda: self._client.v1.customers.create(params, options))
            found, _ = Customer.objects.get_or_create(
                workspace=workspace, defaults={"provider": self.name, "provider_id": made.id}
            )
        return found.provider_id


def _key(what: str, params: dict[str, Any]) -> str:
    """The same for the same request, and another for any other: Stripe refuses a key with other parameters."""
    digest = hashlib.sha256(json.dumps([what, params], sort_keys=True).encode()).hexdigest()
    return f"mutoscope-{digest}"


def _asked(request: Callable[[], Any]) -> Any:
    """What Stripe answers. Raises `ProviderUnavailable`; operators are told where it is not just the network."""
    try:
        return request()
    except stripe.StripeError as error:
        facts = (
            f"{type(error).__name__}, status {error.http_status}, code {error.code}, request {error.request_id}"
        )
        log.warning("Stripe refused or did not answer: %s", facts)
        if isinstance(error, stripe.InvalidRequestError | stripe.AuthenticationError | stripe.PermissionError):
            alert(
                "Stripe refuses our requests",
                f"{facts}. Stripe's dashboard has the request. Are the key and the prices' ids of the same mode?",
                key="stripe-refuses",
            )
        raise ProviderUnavailable(
            "the payment provider does not answer as it should, and nothing was charged; try again in a minute"
        ) from error
