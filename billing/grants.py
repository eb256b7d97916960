"""What operators enter in the ledger by hand: grants, and adjustments either way. Each says why, and who."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from billing import ledger
from billing.errors import LedgerRefusal
from billing.models import Entry
from mutoscope.accounts.models import User
from mutoscope.clock import database_time


def grant(
    workspace_id: UUID,
    credits: int,  # noqa: A002  the field's own word
    *,
    reason: str,
    by: User | None = None,
    expires_at: datetime | None = None,
    reference: str = "",
) -> Entry | None:
    """Give the workspace credits. None where the reference has been entered before.

    Raises `LedgerRefusal` for a number that is not above 0, a missing reason or an end that has passed.
    """
    _check(reason, expires_at)
    return ledger.add(
        workspace_id,
        credits,
        Entry.Kind.GRANT,
        reference=reference,
        reason=reason,
        by=by,
        expires_at=expires_at,
    )


def adjust(
    workspace_id: UUID,
    credits: int,  # noqa: A002  likewise
    *,
    reason: str,
    by: User | None = None,
    expires_at: datetime | None = None,
    reference: str = "",
) -> Entry | None:
    """Put the workspace's credits right: so many more, or fewer where the number is below 0.

    None where the reference has been entered before. Raises `LedgerRefusal` for 0, a missing reason, an end that
    has passed or that fewer credits should have, and where more are to be taken than are there and not held.
    """
    _check(reason, expires_at)
    if credits >= 0:
        return ledger.add(
            workspace_id, credits, Entry.Kind.ADJUSTMENT, reference=reference, reason=reason, by=by,
            expires_at=expires_at,
        )  # fmt: skip
    if expires_at:
        raise LedgerRefusal("credits that are taken away have no end: leave expires_at empty", field="expires_at")
    return ledger.take(workspace_id, -credits, Entry.Kind.ADJUSTMENT, reference=reference, reason=reason, by=by)


def end_of(day: date) -> datetime:
    """When credits are gone that can be spent up to and with the day, in UTC."""
    return datetime.combine(day + timedelta(days=1), time.min, UTC)


def _check(reason: str, expires_at: datetime | None) -> None:
    longest = Entry._meta.get_field("reason").max_length or 0
    if not reason.strip():
        raise LedgerRefusal("an entry by hand must say why, but reason is empty", field="reason")
    if len(reason) > longest:
        raise LedgerRefusal(f"reason may have at most {longest} characters, but has {len(reason)}", field="reason")
    if expires_at and expires_at <= (now := database_time()):
        raise LedgerRefusal(
            f"expires_at must lie after {now:%Y-%m-%d %H:%M} UTC, but is {expires_at:%Y-%m-%d %H:%M}",
            field="expires_at",
        )
