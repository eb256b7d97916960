"""Which plan a workspace is on because it pays for it.

The row is always worked out anew from all that the provider ever told of the workspace's subscriptions, and never
from the news in hand: so the order in which news come does not matter, and neither does how often.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Min, Q
from django.db.models.functions import Now

from billing.models import Payment, Plan, Subscription
from billing.payments.base import Provider, SubscriptionNews, Unsettled
from billing.services import fall_back
from mutoscope.accounts.models import Workspace
from mutoscope.alerts import alert
from mutoscope.clock import database_time

BATCH = 200
"""Subscriptions that are ended in one round."""


def follow(provider: Provider, customer: str, workspace: Workspace) -> None:
    """Put the workspace on the plan that it pays for, or off the one that it no longer pays for.

    A plan that an operator gave stays until a subscription takes its place. The caller holds the customer's row.
    Raises `Unsettled` where no plan has the subscription's price.
    """
    open_ones = [news for news in provider.subscriptions_of(customer) if not news.is_over]
    row = Subscription.objects.select_for_update().filter(workspace=workspace).first()
    if not open_ones:
        if row is not None and row.provider_id:
            fall_back(row)
        return
    news = max(open_ones, key=lambda found: (found.is_live, found.begun_at, found.subscription))
    if sum(found.is_live for found in open_ones) > 1:
        _tell_of_two(provider, workspace, open_ones)
    plan = plan_of(news.price, news.plan)
    grace = _grace_until(workspace.pk, news) if news.is_late else None
    now = database_time()
    is_over = news.ends_at is not None and news.ends_at <= now
    if news.is_live and not is_over and not (grace and grace <= now):
        Subscription.objects.update_or_create(
            workspace=workspace,
            defaults={
                "plan": plan, "provider": provider.name, "provider_id": news.subscription, "provider_at": news.at,
                "paid_until": news.paid_until, "ends_at": news.ends_at, "grace_until": grace,
            },
        )  # fmt: skip
    else:
        row = row or Subscription(workspace=workspace, plan=Plan.objects.get(is_default=True))
        fall_back(row, unpaid="" if is_over else news.subscription)


def plan_of(price: str, slug: str) -> Plan:
    """The plan with this price at the provider; where its price has changed since, the one that was bought.

    Raises `Unsettled`.
    """
    found = Plan.objects.filter(stripe_price=price).first() or Plan.objects.filter(slug=slug).first()
    if found is None:
        raise Unsettled(f"no plan has the price {price} at the provider; enter it in the plan's stripe_price")
    return found


def end_overdue() -> int:
    """Put workspaces on the default plan whose grace is over, or whose cancelled plan has ended. Returns how many.

    Safe to run twice at once.
    """
    overdue = Subscription.objects.filter(Q(grace_until__lte=Now()) | Q(ends_at__lte=Now()))
    ended = 0
    for workspace_id in overdue.values_list("pk", flat=True)[:BATCH]:
        with transaction.atomic():
            row = overdue.select_for_update().filter(pk=workspace_id).first()
            if row is not None:
                fall_back(row, unpaid=row.provider_id if row.grace_until else "")
                ended += 1
    return ended


def grace_of(failed_at: datetime) -> datetime:
    """Until when a workspace keeps a plan whose payment failed."""
    end: datetime = failed_at + settings.BILLING_GRACE
    return end


def _grace_until(workspace_id: UUID, news: SubscriptionNews) -> datetime:
    """Counted from the oldest invoice of the subscription that is not paid; until one is known, from the news."""
    failed = Payment.objects.filter(
        workspace_id=workspace_id,
        kind=Payment.Kind.SUBSCRIPTION,
        state=Payment.State.FAILED,
        created_at__gte=news.begun_at,
    ).aggregate(first=Min("created_at"))
    return grace_of(failed["first"] or news.at)


def _tell_of_two(provider: Provider, workspace: Workspace, open_ones: list[SubscriptionNews]) -> None:
    names = ", ".join(sorted(news.subscription for news in open_ones if news.is_live))
    alert(
        "A workspace pays for two subscriptions",
        f"{workspace} ({workspace.pk}) has {names} at {provider.name}, and is on the plan of the later one. "
        "Cancel the other there, and pay it back.",
        key=f"two-subscriptions-{workspace.pk}",
    )
