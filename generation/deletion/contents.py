"""What a workspace has in it: what its people are told before they delete it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, Sum

from assets.models import Asset
from billing.entitlements import entitlements_of
from billing.models import Subscription
from billing.renewals import available
from generation.models import Job
from mutoscope.accounts.models import ApiKey, Membership, User, Workspace


@dataclass(frozen=True, slots=True)
class Contents:
    """What goes with a workspace."""

    workspace: Workspace
    assets: int
    """Those in the trash among them."""
    mib: float
    jobs: int
    active_jobs: int
    """That are cancelled."""
    keys: int
    """API keys that stop working."""
    people: int
    """Who lose it, without the one who asks."""
    credits: int
    """To spend, that are lost."""
    is_paid_for: bool
    """A subscription that ends."""


def contents_of(workspace: Workspace, asking: User | None = None) -> Contents:
    """What the workspace has in it, for the person who asks."""
    mine = {"workspace": workspace.pk}
    files = Asset.objects.filter(**mine, discarded_at=None).aggregate(count=Count("pk"), size=Sum("size_bytes"))
    jobs = Job.objects.filter(**mine)
    others = Membership.objects.filter(**mine)
    if asking:
        others = others.exclude(user=asking)
    return Contents(
        workspace=workspace,
        assets=files["count"],
        mib=(files["size"] or 0) / 2**20,
        jobs=jobs.count(),
        active_jobs=jobs.filter(state__in=Job.ACTIVE).count(),
        keys=ApiKey.objects.filter(**mine, revoked_at=None).count(),
        people=others.count(),
        credits=available(workspace.pk, entitlements_of(workspace.pk)),
        is_paid_for=_is_paid_for(workspace.pk),
    )


def _is_paid_for(workspace_id: UUID) -> bool:
    return Subscription.objects.filter(workspace=workspace_id).exclude(provider="").exists()
