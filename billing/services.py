"""What may be done with plans."""

from __future__ import annotations

from billing.models import Plan, Subscription
from mutoscope.accounts.models import Workspace


def subscribe(workspace: Workspace, plan: Plan) -> Subscription:
    """Put the workspace on the plan from now on."""
    subscription, _ = Subscription.objects.update_or_create(workspace=workspace, defaults={"plan": plan})
    return subscription
