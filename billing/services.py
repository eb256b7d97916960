"""What may be done with plans."""

from __future__ import annotations

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from billing.models import Plan, PlanOverride, Subscription
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


@transaction.atomic
def make_default(plan: Plan) -> None:
    """Workspaces that have chosen no plan are on this one from now on."""
    list(Plan.objects.select_for_update().order_by("pk"))  # two at once, one after the other
    Plan.objects.filter(is_default=True).update(is_default=False)
    Plan.objects.filter(pk=plan.pk).update(is_default=True)


def end_overrides(overrides: QuerySet[PlanOverride]) -> int:
    """The plans' own limits hold again from now on. Returns how many of the overrides were in force."""
    return overrides.filter(ends_at__gt=Now()).update(ends_at=Now())
