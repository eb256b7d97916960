"""What a workspace may buy, and buying it. Credits and plans come by the provider's webhooks alone, never by the
person's return from the check-out: whoever types that address in gets nothing.
"""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from billing.models import CreditPack, Customer, Plan, Subscription
from billing.payments.base import Back, NotSoldOnline
from billing.payments.provider import provider
from mutoscope.accounts.models import Workspace
from mutoscope.errors import Conflict, NotFound


def packs_on_sale() -> QuerySet[CreditPack]:
    """Packs that can be bought online, the cheapest first; none where nothing is sold."""
    packs = CreditPack.objects.filter(is_offered=True).exclude(stripe_price="")
    return packs if provider().sells else packs.none()


def is_customer(workspace: Workspace) -> bool:
    """Whether the workspace has cards and invoices at the provider to look at."""
    return Customer.objects.filter(workspace=workspace, provider=provider().name).exists()


def check_out_pack(workspace: Workspace, slug: str, back: Back, once: UUID) -> str:
    """Begin to buy a pack. Returns the address to send the person to.

    The same `once` leads to the same check-out. Raises `NotFound`, `NotSoldOnline` or `ProviderUnavailable`.
    """
    pack = CreditPack.objects.filter(slug=slug, is_offered=True).first()
    if pack is None:
        raise NotFound(f"there is no pack called {slug}")
    if provider().sells and not pack.stripe_price:
        raise NotSoldOnline(f"{pack.name} cannot be bought online")
    return provider().check_out_pack(workspace, pack, back, once)


def check_out_plan(workspace: Workspace, slug: str, back: Back, once: UUID) -> str:
    """Begin to subscribe to a plan, as `check_out_pack`. Raises `Conflict` where there is one already."""
    plan = Plan.objects.filter(slug=slug).first()
    if plan is None:
        raise NotFound(f"there is no plan called {slug}")
    if provider().sells and not plan.stripe_price:
        raise NotSoldOnline(f"the plan {plan.name} cannot be bought online")
    if Subscription.objects.filter(workspace=workspace).exclude(provider_id="").exists():
        raise Conflict(
            "the workspace has a subscription already; change it, or pay what is open, in the customer portal",
            code="already_subscribed",
        )
    return provider().check_out_plan(workspace, plan, back, once)


def portal(workspace: Workspace, back: str) -> str:
    """The address where cards, plan and invoices are. Raises `Conflict` for who has never bought anything."""
    if provider().sells and not is_customer(workspace):
        raise Conflict("the workspace has bought nothing yet, so there is nothing to manage", code="no_customer")
    return provider().portal(workspace, back)
