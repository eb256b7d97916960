"""The ledger in the admin: entries are looked at, and entered by hand with a reason."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

import mutoscope.urls  # noqa: F401  it registers the admin's models
from billing import ledger
from billing.models import Account, Entry
from mutoscope.accounts.models import User, Workspace

ADD = "/admin/billing/entry/add/"
LIST = "/admin/billing/entry/"


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("op@example.org", "correct horse battery"))
    return client


def form(workspace: Workspace, /, **changes: Any) -> dict[str, Any]:
    return {
        "workspace": str(workspace.pk), "kind": "grant", "credits": "50", "until": "", "reason": "for the outage",
        "form_id": str(uuid4()),
    } | changes  # fmt: skip


def available(workspace: Workspace) -> int:
    return ledger.balance(workspace.pk).available


def test_a_grant_is_entered_with_its_reason_and_by_whom(operator: Client, workspace: Workspace) -> None:
    page = operator.get(f"{ADD}?workspace={workspace.pk}")
    assert str(workspace.pk) in page.content.decode()
    assert operator.post(ADD, form(workspace)).status_code == 302
    entry = Entry.objects.get()
    assert (entry.kind, entry.reason, entry.made_by_name) == ("grant", "for the outage", "op@example.org")
    assert available(workspace) == 50


def test_the_same_form_sent_twice_is_one_grant(operator: Client, workspace: Workspace) -> None:
    asked = form(workspace)
    assert [operator.post(ADD, asked).status_code for _ in range(2)] == [302, 302]
    assert available(workspace) == 50


def test_each_page_of_the_form_is_another_grant(operator: Client, workspace: Workspace) -> None:
    ids = {operator.get(ADD).context["adminform"].form["form_id"].value() for _ in range(2)}
    for form_id in ids:
        operator.post(ADD, form(workspace, form_id=form_id))
    assert available(workspace) == 100


def test_a_grant_may_have_a_last_day(operator: Client, workspace: Workspace) -> None:
    operator.post(ADD, form(workspace, until="2099-03-31"))
    lot = ledger.balance(workspace.pk).lots[0]
    assert lot.expires_at is not None
    assert f"{lot.expires_at:%Y-%m-%d %H:%M}" == "2099-04-01 00:00"


def test_an_adjustment_goes_either_way(operator: Client, workspace: Workspace) -> None:
    operator.post(ADD, form(workspace, kind="adjustment", credits="50"))
    operator.post(ADD, form(workspace, kind="adjustment", credits="-20"))
    assert available(workspace) == 30
    page = operator.get(LIST).content.decode()
    assert "+50" in page
    assert "−20" in page


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"reason": ""}, "This field is required"),
        ({"reason": "x" * 301}, "at most 300 characters"),
        ({"credits": "0"}, "credits must be above 0, but are 0"),
        ({"credits": "-5"}, "credits must be above 0, but are -5"),
        ({"kind": "adjustment", "credits": "-5"}, "only 0 are there and not held"),
        ({"kind": "adjustment", "credits": "-5", "until": "2099-01-01"}, "leave expires_at empty"),
        ({"until": "2020-01-01"}, "must lie after"),
        ({"kind": "purchase"}, "Select a valid choice"),
        ({"workspace": str(uuid4())}, "Select a valid choice"),
    ],
)
def test_what_is_refused_leaves_nothing(
    operator: Client, workspace: Workspace, changes: dict[str, str], sentence: str
) -> None:
    answer = operator.post(ADD, form(workspace, **changes))
    assert answer.status_code == 200
    assert sentence in answer.content.decode()
    assert not Entry.objects.exists()
    assert not Account.objects.filter(workspace_id=workspace.pk).exists()


def test_entries_are_never_changed(operator: Client, workspace: Workspace) -> None:
    operator.post(ADD, form(workspace))
    entry = Entry.objects.get()
    page = reverse("admin:billing_entry_change", args=[entry.pk])
    assert operator.get(page).status_code == 200
    assert operator.post(page, form(workspace)).status_code == 403
    assert operator.post(reverse("admin:billing_entry_delete", args=[entry.pk])).status_code == 403
    assert available(workspace) == 50


def test_staff_without_the_right_enters_nothing(workspace: Workspace) -> None:
    client = Client()
    client.force_login(User.objects.create(email="staff@example.org", is_staff=True))
    assert client.post(ADD, form(workspace)).status_code == 403
    assert not Entry.objects.exists()


def test_entries_are_found_by_workspace_and_job(operator: Client, workspace: Workspace, charlie: User) -> None:
    job, other = uuid4(), charlie.workspaces.get()
    operator.post(ADD, form(workspace))
    operator.post(ADD, form(other))
    ledger.hold(workspace.pk, job, 5)

    def found(words: str, **filters: str) -> int:
        return int(operator.get(LIST, {"q": words} | filters).context["cl"].result_count)

    assert [found("Alice"), found(str(workspace.pk)), found(str(job)), found("nobody")] == [2, 2, 1, 0]
    assert [found("", kind__exact="grant"), found("Alice", kind__exact="hold")] == [2, 1]
    today = {"at__gte": f"{timezone.now():%Y-%m-%d} 00:00:00+00:00"}
    assert found("", **today) == 3
    assert reverse("admin:generation_job_change", args=[job]) in operator.get(LIST).content.decode()


def test_accounts_show_what_they_hold(operator: Client, workspace: Workspace) -> None:
    operator.post(ADD, form(workspace))
    granted = Account.objects.get(kind="granted")
    page = operator.get(reverse("admin:billing_account_change", args=[granted.pk])).content.decode()
    assert "-50" in page
    found = operator.get("/admin/billing/account/", {"q": "Alice"}).context["cl"]
    assert {account.kind for account in found.result_list} == {"credits", "held"}
