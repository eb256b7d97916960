"""What may be done with plans."""

from __future__ import annotations

from billing.models import Plan, Subscription
from mutoscope.accounts.models import Workspace


def subscribe(workspace: Workspace, plan: Plan) -> Subscription:
    """Put the workspace on the plan from now on."""
    subscription, _ = Subscription.objects.update_or_create(workspace=workspace, defaults={"plan": plan})
    return subscription


def fall_back(subscription: Subscription, *, unpaid: str = "") -> None:
    """Put the workspace on the default plan: the one that it was on is over, or no longer paid for.

    A plan that an operator gave for good stays. `unpaid` is the subscription at the provider that may still go on
    there, once it is paid.
    """
    is_over = bool(subscription.provider or subscription.ends_at or subscription.grace_until)
    if is_over:
        subscription.plan = Plan.objects.get(is_default=True)
    if not unpaid and subscription.plan.is_default:
        Subscription.objects.filter(pk=subscription.pk).delete()  # who has none is on the default plan
        return
    subscription.provider = ""
    subscription.provider_id = unpaid
    subscription.paid_until = subscription.ends_at = subscription.grace_until = None
    subscription.save()
