"""What may be entered in the ledger. Each function is one transaction, safe to call twice, and safe beside others.

Credits of a workspace lie in accounts of their own grant or purchase. Those that expire first are held first and
paid first. A job's credits are held when it is accepted; when it ends, a part or all of them is captured and the
rest goes back where it came from.

Everything about one workspace goes through its `held` account, whose row is the lock: no two calls see the same
credits, and no order of accounts can be taken wrongly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, Sum
from django.db.models.functions import Now

from billing.errors import InsufficientCredits, LedgerRefusal
from billing.models import Account, Entry, Transfer
from mutoscope.accounts.models import User

Kind = Entry.Kind

_SOURCES = {
    Kind.GRANT: Account.Kind.GRANTED,
    Kind.RENEWAL: Account.Kind.GRANTED,
    Kind.PURCHASE: Account.Kind.SOLD,
    Kind.ADJUSTMENT: Account.Kind.ADJUSTED,
}
"""Where credits come from that are new to a workspace."""
_SINKS = {
    Kind.ADJUSTMENT: Account.Kind.ADJUSTED,
    Kind.REVERSAL: Account.Kind.SOLD,
    Kind.EXPIRY: Account.Kind.EXPIRED,
}
"""Where credits go that a workspace loses."""


@dataclass(frozen=True, slots=True)
class Lot:
    """Credits of one grant or purchase that are left, and when they are gone."""

    credits: int
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Balance:
    """A workspace's credits: those it may spend, soonest to expire first, and those held for its jobs."""

    available: int
    held: int
    lots: tuple[Lot, ...]


def balance(workspace_id: UUID) -> Balance:
    """What the workspace has now."""
    lots = tuple(Lot(account.balance, account.expires_at) for account in _spendable(workspace_id))
    held = Account.objects.filter(workspace_id=workspace_id, kind=Account.Kind.HELD).aggregate(sum=Sum("balance"))
    return Balance(sum(lot.credits for lot in lots), held["sum"] or 0, lots)


@transaction.atomic
def add(
    workspace_id: UUID,
    amount: int,
    kind: Entry.Kind,
    *,
    reference: str = "",
    reason: str = "",
    by: User | None = None,
    expires_at: datetime | None = None,
) -> Entry | None:
    """Give the workspace new credits: a grant, a renewal, a purchase or an adjustment upwards.

    None where the reference has been entered before: nothing is given twice.
    """
    if amount <= 0:
        raise LedgerRefusal(f"credits must be above 0, but are {amount}", field="credits")
    lock(workspace_id)
    entry = _enter(kind, workspace_id, reference=reference, reason=reason, by=by)
    if entry is not None:
        account = Account.objects.create(
            kind=Account.Kind.CREDITS, workspace_id=workspace_id, expires_at=expires_at
        )
        _move(entry, [(_platform(_SOURCES[kind]), account.pk, amount)])
    return entry


@transaction.atomic
def take(
    workspace_id: UUID,
    amount: int,
    kind: Entry.Kind,
    *,
    reference: str = "",
    reason: str = "",
    by: User | None = None,
    only: UUID | None = None,
) -> Entry | None:
    """Take credits away that are not held: an adjustment downwards, a purchase paid back, an expiry.

    `only` names the one account to take from, expired or not. None where the reference has been entered before.
    Raises `LedgerRefusal` where there are fewer.
    """
    if amount <= 0:
        raise LedgerRefusal(f"credits must be above 0, but are {amount}", field="credits")
    lock(workspace_id)
    accounts = Account.objects.filter(pk=only) if only else _spendable(workspace_id)
    parts, missing = _drawn(accounts, amount)
    if missing:
        raise LedgerRefusal(
            f"{amount} credits are to be taken, but only {amount - missing} are there and not held",
            field="credits",
            available=amount - missing,
        )
    entry = _enter(kind, workspace_id, reference=reference, reason=reason, by=by)
    if entry is not None:
        _move(entry, [(account, _platform(_SINKS[kind]), part) for account, part in parts])
    return entry


@transaction.atomic
def hold(workspace_id: UUID, job_id: UUID, amount: int) -> Entry | None:
    """Set credits aside for a job, those that expire first before the others.

    None where they are held already. Raises `InsufficientCredits`.
    """
    held = lock(workspace_id)
    parts, missing = _drawn(_spendable(workspace_id), amount)
    if missing:
        available = amount - missing
        raise InsufficientCredits(
            f"the job costs {amount} credits, and {available} are available", available=available, needed=amount
        )
    entry = _enter(Kind.HOLD, workspace_id, job_id=job_id)
    if entry is not None:
        _move(entry, [(account, held, part) for account, part in parts])
    return entry


@transaction.atomic
def settle(job_id: UUID, charge: int) -> int:
    """End a job's hold: `charge` credits of it are paid, the rest goes back. Returns what was paid.

    Only the first call counts; a job for which nothing is held pays nothing. `charge` may be more than is held:
    then all of it is paid, and no more.
    """
    hold = Entry.objects.filter(job_id=job_id, kind=Kind.HOLD).first()
    if hold is None:
        return 0
    held = lock(hold.workspace_id)
    if Entry.objects.filter(job_id=job_id, kind__in=[Kind.CAPTURE, Kind.RELEASE]).exists():
        return 0
    captured, released = _split(hold.transfers.order_by("id").values_list("source_id", "amount"), charge)
    if captured:
        paid = Entry.objects.create(kind=Kind.CAPTURE, workspace_id=hold.workspace_id, job_id=job_id)
        _move(paid, [(held, _platform(Account.Kind.SPENT), captured)])
    if released:
        back = Entry.objects.create(kind=Kind.RELEASE, workspace_id=hold.workspace_id, job_id=job_id)
        _move(back, [(held, account, part) for account, part in released])
    return captured


def lock(workspace_id: UUID) -> UUID:
    """Hold the workspace's credits until the end of the transaction. Returns the account of what is held."""
    mine = Account.objects.filter(workspace_id=workspace_id, kind=Account.Kind.HELD)
    found = mine.select_for_update().values_list("pk", flat=True).first()
    if found is None:
        Account.objects.bulk_create(
            [Account(kind=Account.Kind.HELD, workspace_id=workspace_id)], ignore_conflicts=True
        )
        found = mine.select_for_update().values_list("pk", flat=True).get()
    return found


def _spendable(workspace_id: UUID) -> Iterable[Account]:
    """Accounts with credits, soonest to expire first; those that expire never come last."""
    return Account.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=Now()),
        workspace_id=workspace_id,
        kind=Account.Kind.CREDITS,
        balance__gt=0,
    ).order_by(F("expires_at").asc(nulls_last=True), "created_at", "id")


def _drawn(accounts: Iterable[Account], amount: int) -> tuple[list[tuple[UUID, int]], int]:
    """How much to take from each to have `amount` in all, and how much is missing."""
    parts: list[tuple[UUID, int]] = []
    for account in accounts:
        part = min(amount, account.balance)
        if part:
            parts.append((account.pk, part))
            amount -= part
    return parts, amount


def _split(parts: Iterable[tuple[UUID, int]], charge: int) -> tuple[int, list[tuple[UUID, int]]]:
    """What is paid of a hold, first the parts that were drawn first; and what goes back to which account."""
    captured, back = 0, []
    for account, part in parts:
        paid = min(part, charge - captured)
        captured += paid
        if part > paid:
            back.append((account, part - paid))
    return captured, back


def _enter(
    kind: Entry.Kind,
    workspace_id: UUID,
    *,
    job_id: UUID | None = None,
    reference: str = "",
    reason: str = "",
    by: User | None = None,
) -> Entry | None:
    """Write the entry; None where there is one for the same job or of the same reference."""
    same = Q(kind=kind, job_id=job_id) if job_id else Q(kind=kind, reference=reference)
    if (job_id or reference) and Entry.objects.filter(same).exists():
        return None
    return Entry.objects.create(
        kind=kind, workspace_id=workspace_id, job_id=job_id, reference=reference, reason=reason,
        made_by_id=by.pk if by else None, made_by_name=by.email if by else "",
    )  # fmt: skip


def _move(entry: Entry, parts: Iterable[tuple[UUID, UUID, int]]) -> None:
    Transfer.objects.bulk_create(
        Transfer(entry=entry, source_id=source, target_id=target, amount=amount)
        for source, target, amount in parts
    )


def _platform(kind: Account.Kind) -> UUID:
    return Account.objects.values_list("pk", flat=True).get(kind=kind, workspace_id=None)
