"""The credits that plans bring month by month: how many came, and how many of those are left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Max, QuerySet, Sum
from django.db.models.functions import Now

from billing.models import Entry, Transfer


@dataclass(frozen=True, slots=True)
class Allowance:
    """Credits of a plan that are in force: all that came, those neither spent nor held, and when they are gone."""

    granted: int
    left: int
    ends_at: datetime

    @property
    def used(self) -> int:
        return self.granted - self.left


def allowance_of(workspace_id: UUID) -> Allowance | None:
    """What the plan brought the workspace for now; None before the first job of a month has asked for it."""
    return _allowances(Transfer.objects.filter(entry__workspace_id=workspace_id)).get(workspace_id)


def every_allowance() -> dict[UUID, Allowance]:
    """The same of all workspaces that have one, in one query."""
    return _allowances(Transfer.objects.all())


def _allowances(transfers: QuerySet[Transfer]) -> dict[UUID, Allowance]:
    in_force = transfers.filter(entry__kind=Entry.Kind.RENEWAL, target__expires_at__gt=Now())
    sums = in_force.order_by().values("entry__workspace_id").annotate(
        granted=Sum("amount"), left=Sum("target__balance"), ends_at=Max("target__expires_at")
    )  # fmt: skip
    return {row["entry__workspace_id"]: Allowance(row["granted"], row["left"], row["ends_at"]) for row in sums}
