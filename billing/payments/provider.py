"""Which payment provider this installation has."""

from __future__ import annotations

from functools import cache

from django.conf import settings

from billing.payments.base import Provider
from billing.payments.manual import ManualProvider


def provider() -> Provider:
    """Stripe where its two secrets are set, else none: operators give credits and plans by hand."""
    if settings.STRIPE_SECRET_KEY and settings.STRIPE_WEBHOOK_SECRET:
        return _stripe(settings.STRIPE_SECRET_KEY, settings.STRIPE_WEBHOOK_SECRET, settings.STRIPE_API_BASE)
    return ManualProvider()


@cache
def _stripe(secret_key: str, webhook_secret: str, api_base: str) -> Provider:
    # Imported where it is used: the library takes half a second, and most installations have no Stripe.
    from billing.payments.stripe_checkout import StripeProvider  # noqa: PLC0415

    return StripeProvider(secret_key, webhook_secret, api_base)
