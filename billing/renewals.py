"""The credits that come with a plan, month by month.

A plan's credits of a month come once to a workspace, all of them, whenever in the month it is on the plan, and are
gone with the month. So whoever goes up to a larger plan has the larger plan's credits at once, beside what is left
of the smaller one's; whoever goes down keeps what there is until the month ends, and has the smaller plan's, too;
and coming back to a plan brings nothing more in the same month. A limit that is changed or overridden counts from
the next renewal on.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db.models import CharField, Exists, F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Cast, Coalesce, Concat, Now

from billing import ledger
from billing.entitlements import Entitlements, entitlements_of
from billing.models import Entry, Plan, PlanOverride, Subscription
from mutoscope.accounts.models import Workspace
from mutoscope.clock import database_time

BATCH = 200
"""Workspaces renewed in one round."""


def month_of(now: datetime) -> tuple[datetime, datetime]:
    """The month in UTC that `now` lies in: its beginning, and that of the next."""
    begins = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return begins, begins.replace(year=begins.year + begins.month // 12, month=begins.month % 12 + 1)


def day_of(now: datetime) -> tuple[datetime, datetime]:
    """The day in UTC that `now` lies in: its beginning, and that of the next."""
    begins = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return begins, begins + timedelta(days=1)


def renew(workspace_id: UUID, plan: Entitlements) -> bool:
    """Give the workspace its plan's credits of this month, unless it has them. Returns whether this call did.

    They are gone with the month. A plan that is paid for at a provider is renewed by its payments instead.
    """
    if not plan.credits_per_month or _is_paid_for(workspace_id):
        return False
    begins, ends = month_of(database_time())
    entry = ledger.add(
        workspace_id,
        plan.credits_per_month,
        Entry.Kind.RENEWAL,
        reference=_reference(workspace_id, plan, begins),
        reason=f"{plan.name}, {begins:%B %Y}",
        expires_at=ends,
    )
    return entry is not None


def renew_all() -> int:
    """Renew workspaces that have not had this month's credits yet, a batch of them. Returns how many.

    A workspace that needs its credits before its turn comes has them at once: see `generation.settlement.hold`.
    Safe to run twice at once.
    """
    renewed = 0
    for workspace_id in _without_renewal(month_of(database_time())[0]).iterator():
        renewed += renew(workspace_id, entitlements_of(workspace_id))
        if renewed == BATCH:
            break
    return renewed


def _without_renewal(month: datetime) -> QuerySet[Workspace, UUID]:
    """Workspaces whose plan, or an agreement, brings credits, and that have had none of it in the month.

    A few too many: an agreement may also be that there are none. `renew` decides.
    """
    default = Plan.objects.filter(is_default=True).values("slug")[:1]
    plan = Plan.objects.filter(slug=OuterRef("plan"), credits_per_month__gt=0)
    agreed = PlanOverride.objects.filter(workspace=OuterRef("pk"), limit="credits_per_month", ends_at__gt=Now())
    # As `_reference` writes it.
    words = [Cast(OuterRef("pk"), CharField()), Value(" "), OuterRef("plan"), Value(f" {month:%Y-%m}")]
    reference = Concat(*words, output_field=CharField())
    had = Entry.objects.filter(kind=Entry.Kind.RENEWAL, reference=reference)
    return (
        Workspace.objects.filter(Q(subscription=None) | Q(subscription__provider=""), deleted_at=None)
        .annotate(plan=Coalesce(F("subscription__plan_id"), Subquery(default)))
        .filter(Exists(plan) | Exists(agreed), ~Exists(had))
        .values_list("pk", flat=True)
    )


def available(workspace_id: UUID, plan: Entitlements) -> int:
    """Credits that the workspace could spend now, with those of the month that are only entered when needed."""
    to_come = plan.credits_per_month if plan.credits_per_month and _is_to_come(workspace_id, plan) else 0
    return ledger.available(workspace_id) + to_come


def next_renewal(workspace_id: UUID, plan: Entitlements) -> datetime | None:
    """When the plan brings its credits again; None where it brings none, or where a payment does."""
    if not plan.credits_per_month or _is_paid_for(workspace_id):
        return None
    return month_of(database_time())[1]


def _is_to_come(workspace_id: UUID, plan: Entitlements) -> bool:
    """Whether `renew` would give something now."""
    this_month = _reference(workspace_id, plan, month_of(database_time())[0])
    entered = Entry.objects.filter(kind=Entry.Kind.RENEWAL, reference=this_month)
    unpaid = Q(subscription=None) | Q(subscription__provider="")
    return Workspace.objects.filter(unpaid, ~Exists(entered), pk=workspace_id).exists()


def _reference(workspace_id: UUID, plan: Entitlements, month: datetime) -> str:
    return f"{workspace_id} {plan.slug} {month:%Y-%m}"


def _is_paid_for(workspace_id: UUID) -> bool:
    return Subscription.objects.filter(workspace_id=workspace_id).exclude(provider="").exists()
