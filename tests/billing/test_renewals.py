"""A plan's credits come once a month, and go with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from billing import ledger, renewals, tasks
from billing.entitlements import entitlements_of
from billing.models import Entry, Plan, PlanOverride, Subscription
from billing.renewals import month_of, renew, renew_all
from billing.services import subscribe
from mutoscope.accounts.models import User, Workspace


def available(workspace: Workspace) -> int:
    return ledger.balance(workspace.pk).available


def agree(workspace: Workspace, value: int | None, days: int = 1) -> None:
    PlanOverride.objects.create(
        workspace=workspace, limit="credits_per_month", value=value, reason="test",
        ends_at=timezone.now() + timedelta(days=days),
    )  # fmt: skip


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
    assert available(workspace) == 0


def test_upkeep_renews_every_workspace_once(workspace: Workspace, charlie: User) -> None:
    own = charlie.workspaces.get()
    assert [renew_all(), renew_all()] == [2, 0]
    assert (available(workspace), available(own)) == (20_000, 100)
    references = set(Entry.objects.values_list("reference", flat=True))
    assert references == {f"{workspace.pk} studio {timezone.now():%Y-%m}", f"{own.pk} free {timezone.now():%Y-%m}"}


def test_upkeep_leaves_out_whom_it_is_not_for(workspace: Workspace, charlie: User) -> None:
    subscribe(workspace, Plan.objects.get(slug="enterprise"))
    Subscription.objects.create(
        workspace=charlie.workspaces.get(),
        plan=Plan.objects.get(slug="creator"),
        provider="stripe",
        provider_id="s",
    )
    assert renew_all() == 0
    assert not Entry.objects.exists()


def test_what_was_agreed_holds(workspace: Workspace, charlie: User) -> None:
    agree(workspace, 7)
    agree(charlie.workspaces.get(), None)
    assert [renew_all(), renew_all()] == [1, 0]
    assert (available(workspace), available(charlie.workspaces.get())) == (7, 0)
    agree(workspace, 9)
    assert renew_all() == 0  # it counts from the next month on


def test_an_agreement_may_bring_credits_to_a_plan_that_has_none(workspace: Workspace) -> None:
    subscribe(workspace, Plan.objects.get(slug="enterprise"))
    agree(workspace, 50)
    assert [renew_all(), renew_all()] == [1, 0]
    assert available(workspace) == 50


def test_each_plan_of_a_month_brings_all_of_its_credits_and_only_once(workspace: Workspace) -> None:
    for slug in ("free", "creator", "free", "creator"):
        subscribe(workspace, Plan.objects.get(slug=slug))
        renew_all()
    assert available(workspace) == 100 + 2_000


def test_a_round_is_a_batch(workspace: Workspace, charlie: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewals, "BATCH", 1)
    assert [renew_all(), renew_all(), renew_all()] == [1, 1, 0]


def test_upkeep_keeps_the_books(workspace: Workspace) -> None:
    yesterday = timezone.now() - timedelta(days=1)
    ledger.add(workspace.pk, 5, Entry.Kind.GRANT, reason="test", expires_at=yesterday)
    tasks.keep_books()
    assert available(workspace) == 20_000
    assert sorted(Entry.objects.values_list("kind", flat=True)) == ["expiry", "grant", "renewal"]
