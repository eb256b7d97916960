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


@transaction.atomic
def make_default(plan: Plan) -> None:
    """Workspaces that have chosen no plan are on this one from now on."""
    list(Plan.objects.select_for_update().order_by("pk"))  # two at once, one after the other
    Plan.objects.filter(is_default=True).update(is_default=False)
    Plan.objects.filter(pk=plan.pk).update(is_default=True)


def end_overrides(overrides: QuerySet[PlanOverride]) -> int:
    """The plans' own limits hold again from now on. Returns how many of the overrides were in force."""
    return overrides.filter(ends_at__gt=Now()).update(ends_at=Now())
