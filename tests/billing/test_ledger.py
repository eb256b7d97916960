"""Credits are held, paid and given back, each once, soonest to expire first."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from billing import ledger
from billing.errors import InsufficientCredits, LedgerRefusal
from billing.models import Account, Entry, Transfer

pytestmark = pytest.mark.django_db
Kind = Entry.Kind


def given(workspace: UUID, amount: int, days: int | None = None) -> None:
    expires_at = timezone.now() + timedelta(days=days) if days is not None else None
    ledger.add(workspace, amount, Kind.GRANT, reason="test", expires_at=expires_at)


def stands(workspace: UUID) -> tuple[int, int]:
    found = ledger.balance(workspace)
    return found.available, found.held


def test_a_job_that_is_paid() -> None:
    workspace, job = uuid4(), uuid4()
    given(workspace, 100)
    ledger.hold(workspace, job, 30)
    assert stands(workspace) == (70, 30)
    assert ledger.settle(job, 30) == 30
    assert stands(workspace) == (70, 0)


def test_a_part_is_paid_and_the_rest_goes_back_where_it_came_from() -> None:
    workspace, job = uuid4(), uuid4()
    given(workspace, 50)
    given(workspace, 10, days=30)
    given(workspace, 10, days=3)
    ledger.hold(workspace, job, 25)
    assert [lot.credits for lot in ledger.balance(workspace).lots] == [45]
    assert ledger.settle(job, 12) == 12
    assert [lot.credits for lot in ledger.balance(workspace).lots] == [8, 50]


def test_nothing_happens_twice() -> None:
    workspace, job = uuid4(), uuid4()
    assert ledger.add(workspace, 100, Kind.PURCHASE, reference="pack-1") is not None
    assert ledger.add(workspace, 100, Kind.PURCHASE, reference="pack-1") is None
    assert ledger.hold(workspace, job, 30) is not None
    assert ledger.hold(workspace, job, 30) is None
    assert (ledger.settle(job, 0), ledger.settle(job, 30)) == (0, 0)
    assert stands(workspace) == (100, 0)


def test_no_more_is_held_than_there_is() -> None:
    workspace = uuid4()
    given(workspace, 10)
    given(workspace, 100, days=-1)
    with pytest.raises(InsufficientCredits, match="costs 11 credits, and 10 are available"):
        ledger.hold(workspace, uuid4(), 11)
    assert stands(workspace) == (10, 0)
    with pytest.raises(LedgerRefusal, match="only 10 are there"):
        ledger.take(workspace, 11, Kind.ADJUSTMENT, reason="too many")


def test_the_database_refuses_what_the_code_would_never_do() -> None:
    workspace = uuid4()
    given(workspace, 10)
    account = Account.objects.get(workspace_id=workspace, kind="credits")
    spent = Account.objects.get(kind="spent")
    entry = Entry.objects.get(workspace_id=workspace)
    refused = [
        lambda: Entry.objects.update(reason="another"),
        lambda: Entry.objects.all().delete(),
        lambda: Transfer.objects.update(amount=1),
        lambda: Transfer.objects.all()._raw_delete("default"),
        lambda: Account.objects.filter(pk=account.pk).update(balance=99),
        lambda: Account.objects.filter(pk=account.pk).update(expires_at=timezone.now()),
        lambda: Account.objects.filter(pk=spent.pk)._raw_delete("default"),
        lambda: Account.objects.create(kind="credits", workspace_id=workspace, balance=5),
        lambda: Transfer.objects.create(entry=entry, source=account, target=spent, amount=11),
        lambda: Transfer.objects.create(entry=entry, source=account, target=spent, amount=-1),
    ]
    for attempt in refused:
        with pytest.raises(IntegrityError), transaction.atomic():
            attempt()
    assert stands(workspace) == (10, 0)


def test_the_sum_over_all_accounts_is_zero() -> None:
    workspace, job = uuid4(), uuid4()
    given(workspace, 100, days=5)
    ledger.hold(workspace, job, 30)
    ledger.settle(job, 7)
    ledger.take(workspace, 3, Kind.ADJUSTMENT, reason="test")
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(balance) FROM billing_account")
        kept = cursor.fetchone()[0]
        cursor.execute(
            "SELECT sum(CASE WHEN account.id = t.target_id THEN amount ELSE -amount END) FROM billing_transfer t"
            " JOIN billing_account account ON account.id IN (t.source_id, t.target_id)"
            " WHERE account.workspace_id IS NULL"
        )
        assert kept + cursor.fetchone()[0] == 0


def test_what_was_entered_is_answered_before_credits_are_counted() -> None:
    workspace, job = uuid4(), uuid4()
    given(workspace, 30)
    ledger.hold(workspace, job, 20)
    assert ledger.hold(workspace, job, 20) is None
    assert ledger.take(workspace, 10, Kind.REVERSAL, reference="refund-1") is not None
    assert ledger.take(workspace, 10, Kind.REVERSAL, reference="refund-1") is None
    assert stands(workspace) == (0, 20)


def test_a_reference_is_of_one_workspace() -> None:
    ledger.add(uuid4(), 10, Kind.PURCHASE, reference="pack-1")
    with pytest.raises(LedgerRefusal, match="'pack-1' is of workspace"):
        ledger.add(uuid4(), 10, Kind.PURCHASE, reference="pack-1")


def test_one_account_is_taken_from_where_it_is_the_workspace_s_own() -> None:
    workspace = uuid4()
    given(workspace, 10, days=5)
    given(workspace, 10)
    account = Account.objects.get(workspace_id=workspace, kind="credits", expires_at=None)
    ledger.take(workspace, 4, Kind.REVERSAL, only=account.pk)
    assert [lot.credits for lot in ledger.balance(workspace).lots] == [10, 6]
    with pytest.raises(LedgerRefusal, match="only 0 are there"):
        ledger.take(uuid4(), 4, Kind.REVERSAL, only=account.pk)


def test_no_more_is_paid_than_was_held() -> None:
    workspace, job = uuid4(), uuid4()
    given(workspace, 30)
    ledger.hold(workspace, job, 20)
    assert ledger.settle(job, 99) == 20
    assert stands(workspace) == (10, 0)
    assert ledger.captured([job, uuid4()]) == {job: 20}


def test_a_price_is_above_zero_and_a_charge_not_below() -> None:
    with pytest.raises(ValueError, match="above 0, but are 0"):
        ledger.hold(uuid4(), uuid4(), 0)
    with pytest.raises(ValueError, match="0 or above, but is -1"):
        ledger.settle(uuid4(), -1)
