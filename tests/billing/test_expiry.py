"""Credits whose time has passed go, each once, also those that come back of a hold afterwards."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.utils import timezone

from billing import audit, expiry, ledger
from billing.models import Account, Entry, Transfer

pytestmark = pytest.mark.django_db


def lot(workspace: UUID, amount: int, seconds: float) -> UUID:
    """Credits that expire so many seconds from now, or before it."""
    expires_at = timezone.now() + timedelta(seconds=seconds)
    ledger.add(workspace, amount, Entry.Kind.GRANT, reason="test", expires_at=expires_at)
    return Account.objects.filter(workspace_id=workspace, kind="credits").latest("created_at", "id").pk


def expire(account: UUID) -> None:
    """Time passes for one account: what the triggers refuse to everybody."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE billing_account DISABLE TRIGGER changed_by_transfers")
        cursor.execute("UPDATE billing_account SET expires_at = now() - interval '1 s' WHERE id = %s", [account])
        cursor.execute("ALTER TABLE billing_account ENABLE TRIGGER changed_by_transfers")


def test_what_has_expired_goes_once_and_the_rest_stays() -> None:
    workspace = uuid4()
    old, new = lot(workspace, 10, -1), lot(workspace, 5, 60)
    assert [expiry.sweep(), expiry.sweep()] == [1, 0]
    assert ledger.balance(workspace).available == 5
    entry = Entry.objects.get(kind="expiry")
    assert (entry.workspace_id, entry.reference) == (workspace, str(old))
    assert entry.transfers.get().amount == 10
    assert Account.objects.get(pk=new).balance == 5


def test_what_is_held_stays_held_and_goes_when_it_comes_back() -> None:
    workspace, job = uuid4(), uuid4()
    account = lot(workspace, 10, 60)
    ledger.hold(workspace, job, 6)
    expire(account)
    assert expiry.sweep() == 1
    assert ledger.balance(workspace) == ledger.Balance(available=0, held=6, lots=())
    assert ledger.settle(job, 1) == 1
    assert ledger.balance(workspace).available == 0
    assert [expiry.sweep(), expiry.sweep()] == [1, 0]
    references = Entry.objects.filter(kind="expiry").order_by("id").values_list("reference", flat=True)
    assert list(references) == [str(account), f"{account} 2"]
    assert sorted(Transfer.objects.filter(entry__kind="expiry").values_list("amount", flat=True)) == [4, 5]
    assert list(audit.problems()) == []


def test_what_never_expires_stays() -> None:
    workspace = uuid4()
    ledger.add(workspace, 10, Entry.Kind.PURCHASE, reference="pack")
    assert expiry.sweep() == 0
    assert ledger.balance(workspace).available == 10


def test_an_account_of_another_workspace_is_not_swept_in_ones_name() -> None:
    account = lot(uuid4(), 10, -1)
    assert not ledger.expire(uuid4(), account)


def test_a_round_takes_a_batch_and_the_next_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "BATCH", 2)
    for _ in range(3):
        lot(uuid4(), 10, -1)
    assert [expiry.sweep(), expiry.sweep(), expiry.sweep()] == [2, 1, 0]
