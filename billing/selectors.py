"""What may be seen of a workspace's money: its entries in the ledger, and its payments."""

from __future__ import annotations

from uuid import UUID

from django.db.models import IntegerField, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from billing.models import Account, Entry, Payment


def entries(workspace_id: UUID) -> QuerySet[Entry]:
    """The workspace's entries, newest first, each with the change of what is `available` and what is `held`."""
    found = Entry.objects.filter(workspace_id=workspace_id).order_by("-id")
    return found.annotate(available=_change(Account.Kind.CREDITS), held=_change(Account.Kind.HELD))


def payments(workspace_id: UUID) -> QuerySet[Payment]:
    """What the workspace paid, or was asked for, newest first."""
    return Payment.objects.filter(workspace_id=workspace_id)


def _change(kind: Account.Kind) -> Coalesce:
    given = Sum("transfers__amount", filter=Q(transfers__target__kind=kind), default=0)
    taken = Sum("transfers__amount", filter=Q(transfers__source__kind=kind), default=0)
    return Coalesce(given - taken, 0, output_field=IntegerField())
