"""The credits that come with a plan, month by month."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from billing import ledger
from billing.entitlements import Entitlements
from billing.models import Entry, Subscription
from mutoscope.clock import database_time


def month_of(now: datetime) -> tuple[datetime, datetime]:
    """The month in UTC that `now` lies in: its beginning, and that of the next."""
    begins = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return begins, begins.replace(year=begins.year + begins.month // 12, month=begins.month % 12 + 1)


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
        reference=f"{workspace_id} {plan.slug} {begins:%Y-%m}",
        reason=f"{plan.name}, {begins:%B %Y}",
        expires_at=ends,
    )
    return entry is not None


def _is_paid_for(workspace_id: UUID) -> bool:
    return Subscription.objects.filter(workspace_id=workspace_id).exclude(provider="").exists()
