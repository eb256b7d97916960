"""Operators delete people and workspaces, with all that is theirs."""

from __future__ import annotations

from math import inf

import pytest
from django.contrib.admin.models import DELETION, LogEntry
from django.test import Client
from django.urls import reverse

import mutoscope.urls  # noqa: F401  it registers the admin's models
from assets.objects import listing
from generation.deletion import workspaces
from mutoscope.accounts.models import User, Workspace
from mutoscope.accounts.selectors import Access
from tests.generation.deletion.estates import SECRET, furnish, tables_that_say


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("op@example.org", "correct horse battery"))
    return client


def test_deleting_a_user(operator: Client, access: Access, alice: User) -> None:
    furnish(access)
    page = reverse("admin:accounts_user_delete", args=[alice.pk])
    html = operator.get(page).content.decode()
    assert "Alice &amp; Co: 2 assets with" in html
    assert operator.post(page, {"post": "yes"}).status_code == 302
    workspaces.carry_on(until=inf)
    assert not list(listing())
    assert tables_that_say("alice@example.org", "Alice & Co", SECRET) == set()
    log = LogEntry.objects.get(action_flag=DELETION)
    assert (log.object_id, log.object_repr) == (str(alice.pk), "deleted")


def test_deleting_users_from_the_list(operator: Client, access: Access, alice: User, charlie: User) -> None:
    chosen = {"action": "delete_selected", "_selected_action": [str(alice.pk), str(charlie.pk)], "post": "yes"}
    assert operator.post(reverse("admin:accounts_user_changelist"), chosen).status_code == 302
    assert [user.email for user in User.objects.all()] == ["op@example.org"]
    assert not Workspace.objects.filter(deleted_at=None).exists()


def test_deleting_a_workspace(operator: Client, access: Access, alice: User) -> None:
    furnish(access)
    workspace = access.workspace
    page = reverse("admin:accounts_workspace_delete", args=[workspace.pk])
    assert operator.post(page, {"post": "yes"}).status_code == 302
    workspace.refresh_from_db()
    assert workspace.deleted_at
    assert User.objects.filter(pk=alice.pk).exists()
    assert operator.post(page, {"post": "yes"}).status_code == 403
    changing = reverse("admin:accounts_workspace_change", args=[workspace.pk])
    assert operator.get(changing).status_code == 200
    assert operator.post(changing, {"name": "Alice again"}).status_code == 403
    listed = operator.get(reverse("admin:accounts_workspace_changelist"), {"deleted_at__isempty": "0"})
    assert str(workspace.pk) in listed.content.decode()


def test_who_may_not(access: Access, alice: User, client: Client) -> None:
    clerk = User.objects.create_user("clerk@example.org", is_staff=True)
    client.force_login(clerk)
    for page, pk in (("user", alice.pk), ("workspace", access.workspace.pk)):
        answer = client.post(reverse(f"admin:accounts_{page}_delete", args=[pk]), {"post": "yes"})
        assert answer.status_code == 403
    assert User.objects.filter(pk=alice.pk).exists()
