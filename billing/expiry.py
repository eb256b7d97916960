"""What becomes of credits whose time has passed: they are taken out of the workspace's accounts."""

from __future__ import annotations

from django.db.models.functions import Now

from billing import ledger
from billing.models import Account

BATCH = 200
"""Accounts swept in one round."""


def sweep() -> int:
    """Take away what is left in accounts that have expired, the longest expired first. Returns of how many.

    Nobody can spend what has expired even before that: a round that is late costs nobody anything. Safe to run
    twice at once, and beside holds and settlements: each account is looked at again under its workspace's lock.
    """
    due = Account.objects.filter(kind=Account.Kind.CREDITS, balance__gt=0, expires_at__lte=Now())
    found = due.order_by("expires_at").values_list("workspace_id", "pk")[:BATCH]
    return sum(ledger.expire(workspace_id, account_id) for workspace_id, account_id in found if workspace_id)
