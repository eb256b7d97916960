"""What a workspace may use now: its plan, with what has been agreed with it alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import JSONObject, Now

from billing.models import LIMITS, Plan, PlanOverride, Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlements:
    """The limits that hold for a workspace: see `Plan`'s columns. None, or an empty list, is no limit."""

    slug: str
    name: str
    """Of the plan."""
    overridden: frozenset[str] = frozenset()
    """The limits that are others than the plan's."""

    tiers: list[str]
    weight: int
    concurrent_jobs: int
    queued_jobs: int
    credits_per_month: int | None = None
    seconds_per_day: int | None = None
    seconds_per_month: int | None = None
    allowed_models: list[str]
    allowed_presets: list[str]
    max_pixels: int | None = None
    max_seconds: float | None = None
    watermark: bool = False
    output_formats: list[str]
    storage_mib: int | None = None
    retention_days: int | None = None
    requests_per_minute: int | None = None

    @property
    def is_metered(self) -> bool:
        """Whether jobs cost credits."""
        return self.credits_per_month is not None

    def source_of(self, limit: str) -> str:
        """Where a limit comes from, as refusals name it."""
        agreed = " (as agreed for this workspace)" if limit in self.overridden else ""
        return f"the plan {self.name}{agreed}"


def entitlements_of(workspace_id: UUID) -> Entitlements:
    """What holds for the workspace now, in one query."""
    own = Subscription.objects.filter(workspace_id=workspace_id, plan=OuterRef("pk"))
    agreed = (
        PlanOverride.objects.filter(workspace_id=workspace_id, ends_at__gt=Now())
        .order_by("id")
        .values(json=JSONObject(limit="limit", value="value"))
    )
    plan = (
        Plan.objects.annotate(own=Exists(own), agreed=ArraySubquery(agreed))
        .filter(Q(own=True) | Q(is_default=True))
        .order_by("-own")[:1]
        .get()
    )
    return of_plan(plan, {row["limit"]: row["value"] for row in plan.agreed})


def limit_by_workspace(limit: str, workspace_ids: Iterable[UUID]) -> dict[UUID, Any]:
    """One limit of many workspaces, in three queries however many there are."""
    ids = list(workspace_ids)
    found = dict.fromkeys(ids, Plan.objects.values_list(limit, flat=True).get(is_default=True))
    own = Subscription.objects.filter(workspace__in=ids)
    agreed = PlanOverride.objects.filter(workspace__in=ids, limit=limit, ends_at__gt=Now()).order_by("id")
    return (
        found
        | dict(own.values_list("workspace", f"plan__{limit}"))
        | dict(agreed.values_list("workspace", "value"))
    )


def of_plan(plan: Plan, agreed: dict[str, Any] | None = None) -> Entitlements:
    """What a plan grants, with other values for some limits."""
    agreed = agreed or {}
    limits = {name: getattr(plan, name) for name in LIMITS} | agreed
    return Entitlements(slug=plan.slug, name=plan.name, overridden=frozenset(agreed), **limits)
