"""Plans: one that holds for whoever has chosen none, and one for each workspace at a time."""

from __future__ import annotations

import pytest
from django.db import IntegrityError
from django.db.models import ProtectedError

from billing.entitlements import entitlements_of
from billing.models import Plan, Subscription
from billing.services import subscribe
from billing.tiers import Tier
from mutoscope.accounts.models import User, Workspace


def test_there_are_plans_to_begin_with(db: None) -> None:
    assert {plan.slug: plan.tiers for plan in Plan.objects.all()} == {
        "free": [Tier.FREE], "creator": [Tier.PAID, Tier.FREE], "studio": [Tier.PAID, Tier.BATCH, Tier.FREE],
        "enterprise": [Tier.PAID, Tier.BATCH, Tier.FREE],
    }  # fmt: skip


def test_a_workspace_without_a_plan_is_on_the_default_one(charlie: User) -> None:
    assert entitlements_of(charlie.workspaces.get().pk).slug == "free"


def test_a_workspace_is_on_one_plan_at_a_time(workspace: Workspace) -> None:
    assert entitlements_of(workspace.pk).slug == "studio"
    subscribe(workspace, Plan.objects.get(slug="free"))
    assert entitlements_of(workspace.pk).slug == "free"
    assert Subscription.objects.count() == 1


def test_there_is_one_default_plan(db: None) -> None:
    with pytest.raises(IntegrityError, match="one_default_plan"):
        Plan.objects.create(slug="second", name="Second", tiers=["free"], queued_jobs=1, is_default=True)


def test_a_plan_has_a_tier(db: None) -> None:
    with pytest.raises(IntegrityError, match="plan_has_a_tier"):
        Plan.objects.create(slug="none", name="None", tiers=[], queued_jobs=1)


def test_a_plan_that_workspaces_are_on_stays(workspace: Workspace) -> None:
    with pytest.raises(ProtectedError):
        Plan.objects.get(slug="studio").delete()
