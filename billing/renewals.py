"""The credits that come with a plan, month by month."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from billing import ledger
from billing.entitlements import Entitlements
from billing.models import Entry, Subscription
from mutoscope.clock import database_time


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


def available(workspace_id: UUID, plan: Entitlements) -> int:
    """Credits that the workspace could spend now, with those of the month that are only entered when needed."""
    found = ledger.balance(workspace_id).available
    if not plan.credits_per_month or _is_paid_for(workspace_id):
        return found
    this_month = _reference(workspace_id, plan, month_of(database_time())[0])
    entered = Entry.objects.filter(kind=Entry.Kind.RENEWAL, reference=this_month).exists()
    return found if entered else found + plan.credits_per_month


def next_renewal(workspace_id: UUID, plan: Entitlements) -> datetime | None:
    """When the plan brings its credits again; None where it brings none, or where a payment does."""
    if not plan.credits_per_month or _is_paid_for(workspace_id):
        return None
    return month_of(database_time())[1]


def _reference(workspace_id: UUID, plan: Entitlements, month: datetime) -> str:
    return f"{workspace_id} {plan.slug} {month:%Y-%m}"


def _is_paid_for(workspace_id: UUID) -> bool:
    return Subscription.objects.filter(workspace_id=workspace_id).exclude(provider="").exists()
