"""What may be seen of plans."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Exists, OuterRef, Q

from billing.models import Plan, Subscription


def plan_of(workspace_id: UUID) -> Plan:
    """The plan that holds for the workspace now: its own, else the default one."""
    own = Exists(Subscription.objects.filter(workspace_id=workspace_id, plan=OuterRef("pk")))
    return Plan.objects.annotate(own=own).filter(Q(own=True) | Q(is_default=True)).order_by("-own")[:1].get()
