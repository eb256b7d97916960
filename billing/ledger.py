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
from django.db.models import F, Q, QuerySet, Sum
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


def available(workspace_id: UUID) -> int:
    """What of it the workspace may spend, alone."""
    return _spendable(workspace_id).aggregate(sum=Sum("balance"))["sum"] or 0


def captured(job_ids: Iterable[UUID]) -> dict[UUID, int]:
    """What was paid for each of the jobs; those that cost nothing are left out."""
    paid = Transfer.objects.filter(entry__kind=Kind.CAPTURE, entry__job_id__in=list(job_ids))
    return dict(paid.order_by().values_list("entry__job_id").annotate(Sum("amount")))


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

    None where the reference has been entered before: nothing is given twice. Raises `LedgerRefusal` where it was
    entered for another workspace.
    """
    if amount <= 0:
        raise LedgerRefusal(f"credits must be above 0, but are {amount}", field="credits")
    lock(workspace_id)
    if _is_entered(kind, workspace_id, reference):
        return None
    entry = _enter(kind, workspace_id, reference=reference, reason=reason, by=by)
    account = Account.objects.create(kind=Account.Kind.CREDITS, workspace_id=workspace_id, expires_at=expires_at)
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
    """Take credits away that are not held: an adjustment downwards, or a purchase paid back.

    `only` names the one account of the workspace to take from, expired or not. None where the reference has been
    entered before. Raises `LedgerRefusal` where there are fewer, or the reference is another workspace's.
    """
    if amount <= 0:
        raise LedgerRefusal(f"credits must be above 0, but are {amount}", field="credits")
    lock(workspace_id)
    if _is_entered(kind, workspace_id, reference):
        return None
    accounts = _credits_of(workspace_id).filter(pk=only) if only else _spendable(workspace_id)
    parts, missing = _drawn(accounts, amount)
    if missing:
        raise LedgerRefusal(
            f"{amount} credits are to be taken, but only {amount - missing} are there and not held",
            field="credits",
            available=amount - missing,
        )
    entry = _enter(kind, workspace_id, reference=reference, reason=reason, by=by)
    sink = _platform(_SINKS[kind])
    _move(entry, [(account, sink, part) for account, part in parts])
    return entry


@transaction.atomic
def expire(workspace_id: UUID, account_id: UUID) -> bool:
    """Take away what is left in an account whose time has passed. Returns whether this call did.

    What is held meanwhile may come back into it later, and is taken away then: each time is an entry of its own.
    """
    lock(workspace_id)
    account = _credits_of(workspace_id).filter(pk=account_id, balance__gt=0, expires_at__lte=Now()).first()
    if account is None:
        return False
    sink = _platform(Account.Kind.EXPIRED)
    before = Transfer.objects.filter(source=account, target=sink).count()
    reference = f"{account_id} {before + 1}" if before else str(account_id)
    entry = _enter(Kind.EXPIRY, workspace_id, reference=reference)
    _move(entry, [(account_id, sink, account.balance)])
    return True


@transaction.atomic
def forfeit(workspace_id: UUID, reason: str) -> int:
    """Take away all that is left and not held, expired or not: the workspace is gone. Returns how much that was.

    What comes back later, of a hold or by a late payment, is taken by the next call: each time is an entry of its
    own.
    """
    lock(workspace_id)
    left = list(_credits_of(workspace_id).filter(balance__gt=0).order_by("id"))
    if not left:
        return 0
    before = Entry.objects.filter(kind=Kind.EXPIRY, reference__startswith=f"{workspace_id} gone").count()
    entry = _enter(Kind.EXPIRY, workspace_id, reference=f"{workspace_id} gone {before + 1}", reason=reason)
    sink = _platform(Account.Kind.EXPIRED)
    _move(entry, [(account.pk, sink, account.balance) for account in left])
    return sum(account.balance for account in left)


@transaction.atomic
def hold(workspace_id: UUID, job_id: UUID, amount: int) -> Entry | None:
    """Set credits aside for a job, those that expire first before the others.

    None where they have been held before. Raises `InsufficientCredits`.
    """
    if amount <= 0:
        raise ValueError(f"credits to hold must be above 0, but are {amount}")
    held = lock(workspace_id)
    if Entry.objects.filter(job_id=job_id, kind=Kind.HOLD).exists():
        return None
    parts, missing = _drawn(_spendable(workspace_id), amount)
    if missing:
        available = amount - missing
        raise InsufficientCredits(
            f"the job costs {amount} credits, and {available} are available", available=available, needed=amount
        )
    entry = _enter(Kind.HOLD, workspace_id, job_id=job_id)
    _move(entry, [(account, held, part) for account, part in parts])
    return entry


@transaction.atomic
def settle(job_id: UUID, charge: int) -> int:
    """End a job's hold: `charge` credits of it are paid, the rest goes back. Returns what was paid.

    Only the first call counts; a job for which nothing is held pays nothing. `charge` may be more than is held:
    then all of it is paid, and no more. What goes back into an account that has expired since is not lost to the
    books: the next `expire` takes it.
    """
    if charge < 0:
        raise ValueError(f"a charge must be 0 or above, but is {charge}")
    hold = Entry.objects.filter(job_id=job_id, kind=Kind.HOLD).first()
    if hold is None:
        return 0
    held = lock(hold.workspace_id)
    if Entry.objects.filter(job_id=job_id, kind__in=[Kind.CAPTURE, Kind.RELEASE]).exists():
        return 0
    captured, released = _split(hold.transfers.order_by("id").values_list("source_id", "amount"), charge)
    if captured:
        paid = _enter(Kind.CAPTURE, hold.workspace_id, job_id=job_id)
        _move(paid, [(held, _platform(Account.Kind.SPENT), captured)])
    if released:
        back = _enter(Kind.RELEASE, hold.workspace_id, job_id=job_id)
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


def _credits_of(workspace_id: UUID) -> QuerySet[Account]:
    return Account.objects.filter(workspace_id=workspace_id, kind=Account.Kind.CREDITS)


def _spendable(workspace_id: UUID) -> QuerySet[Account]:
    """Accounts with credits, soonest to expire first; those that expire never come last."""
    in_time = Q(expires_at=None) | Q(expires_at__gt=Now())
    found = _credits_of(workspace_id).filter(in_time, balance__gt=0)
    return found.order_by(F("expires_at").asc(nulls_last=True), "created_at", "id")


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


def _is_entered(kind: Entry.Kind, workspace_id: UUID, reference: str) -> bool:
    """Whether the reference has been entered before. Raises `LedgerRefusal` where it is another workspace's."""
    if not reference:
        return False
    whose = Entry.objects.filter(kind=kind, reference=reference).values_list("workspace_id", flat=True).first()
    if whose is not None and whose != workspace_id:
        raise LedgerRefusal(
            f"the reference of a {kind} must be of one workspace, but {reference!r} is of workspace {whose}",
            field="reference",
        )
    return whose is not None


def _enter(
    kind: Entry.Kind,
    workspace_id: UUID,
    *,
    job_id: UUID | None = None,
    reference: str = "",
    reason: str = "",
    by: User | None = None,
) -> Entry:
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
