"""System checks of what costs and pays."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register


@register
def stripe_is_whole(**kwargs: Any) -> list[CheckMessage]:
    """With the key alone people could pay, and nothing would tell us."""
    pair = {
        "STRIPE_SECRET_KEY": settings.STRIPE_SECRET_KEY,
        "STRIPE_WEBHOOK_SECRET": settings.STRIPE_WEBHOOK_SECRET,
    }
    missing = [name for name, value in pair.items() if not value]
    if len(missing) != 1:
        return []
    (there,) = set(pair) - set(missing)
    return [
        Error(
            f"{there} is set, but {missing[0]} is not: Stripe needs both, and is off.",
            hint="See docs/payments.md, or take the one away that is set.",
            id="billing.E001",
        )
    ]
