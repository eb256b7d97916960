"""What may be seen of plans."""

from __future__ import annotations

from billing.models import Plan
from mutoscope.accounts.models import Workspace


def plan_of(workspace: Workspace) -> Plan:
    """The plan that holds for the workspace now: its own, else the default one."""
    return Plan.objects.filter(subscriptions__workspace=workspace).first() or Plan.objects.get(is_default=True)
