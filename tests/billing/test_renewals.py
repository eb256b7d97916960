"""A plan's credits come once a month, and go with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from billing import ledger
from billing.entitlements import entitlements_of
from billing.models import Plan
from billing.renewals import month_of, renew
from billing.services import subscribe
from mutoscope.accounts.models import Workspace


def test_months() -> None:
    assert month_of(datetime(2026, 12, 31, 23, 59, tzinfo=UTC)) == (
        datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def test_a_month_s_credits_come_once(workspace: Workspace) -> None:
    plan = entitlements_of(workspace.pk)
    assert [renew(workspace.pk, plan), renew(workspace.pk, plan)] == [True, False]
    found = ledger.balance(workspace.pk)
    assert found.available == 20_000
    assert found.lots[0].expires_at is not None
    assert found.lots[0].expires_at - timedelta(microseconds=1) < month_of(datetime.now(UTC))[1]


def test_a_plan_without_credits_gives_none(workspace: Workspace) -> None:
    subscribe(workspace, Plan.objects.get(slug="enterprise"))
    assert not renew(workspace.pk, entitlements_of(workspace.pk))
    assert ledger.balance(workspace.pk).available == 0
