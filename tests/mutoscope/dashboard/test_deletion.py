"""Deleting one's account and a workspace by oneself: what is said first, and who may."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from billing import ledger
from billing.models import Entry
from generation.models import Job
from mutoscope.accounts.models import Membership, User, Workspace
from mutoscope.accounts.services import create_api_key, create_workspace
from tests.mutoscope.accounts.test_users import sign_in

ACCOUNT = reverse("dashboard:delete_account")
WORKSPACE = reverse("dashboard:delete_workspace")
PASSWORD = "correct horse battery"


def test_the_page_says_what_goes_and_what_stays(
    alices: Client, alice: User, bob: User, charlie: User, workspace: Workspace, job: Job
) -> None:
    Membership.objects.create(user=alice, workspace=charlie.workspaces.get(), role=Membership.Role.CREATOR)
    create_api_key(workspace, name="import", scopes=["jobs:read"], created_by=alice)
    ledger.add(workspace.pk, 25, Entry.Kind.GRANT)
    html = alices.get(ACCOUNT).content.decode()
    for said in (
        "Alice &amp; Co goes with it", "1 that have not ended are cancelled", "programs that use them stop",
        "1, who lose it too", "25 credits, which are lost", "Charlie&#x27;s, and what you made there",
    ):  # fmt: skip
        assert said in html, said
    assert User.objects.filter(pk=alice.pk).exists()


def test_deleting_the_account(alices: Client, alice: User, workspace: Workspace, job: Job) -> None:
    html = alices.post(ACCOUNT, {"password": PASSWORD}).content.decode()
    assert "Your account is deleted" in html
    assert not User.objects.filter(pk=alice.pk).exists()
    workspace.refresh_from_db()
    assert workspace.deleted_at
    assert alices.get("/library").status_code == 302
    assert sign_in(Client(), "alice@example.org") == 200  # refused: the form again


@pytest.mark.parametrize("page", [ACCOUNT, WORKSPACE])
def test_not_without_the_password(alices: Client, alice: User, workspace: Workspace, page: str) -> None:
    answer = alices.post(page, {"password": "a guess"})
    assert answer.status_code == 422
    assert "this is not your password, so nothing was deleted" in answer.content.decode()
    workspace.refresh_from_db()
    assert workspace.deleted_at is None
    assert User.objects.filter(pk=alice.pk).exists()


def test_passwords_cannot_be_tried_there(alices: Client, alice: User, settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"reauthenticate": "1/m/user"}
    cache.clear()
    alices.post(ACCOUNT, {"password": "a guess"})
    answer = alices.post(ACCOUNT, {"password": PASSWORD})
    assert "there were too many tries" in answer.content.decode()
    assert User.objects.filter(pk=alice.pk).exists()
    cache.clear()


def test_who_is_in_no_workspace_can_go_too(alices: Client, alice: User) -> None:
    alice.memberships.all().delete()
    assert ACCOUNT in alices.get("/library").content.decode()
    assert alices.get(ACCOUNT).status_code == 200
    assert "Your account is deleted" in alices.post(ACCOUNT, {"password": PASSWORD}).content.decode()
    assert Client().get(ACCOUNT).status_code == 302


def test_an_operator_is_told_what_keeps_the_address(alices: Client, alice: User) -> None:
    assert "You are an operator" not in alices.get(ACCOUNT).content.decode()
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    assert "You are an operator" in alices.get(ACCOUNT).content.decode()


def test_deleting_a_workspace(alices: Client, alice: User, workspace: Workspace, job: Job) -> None:
    assert "Delete Alice &amp; Co" in alices.get(WORKSPACE).content.decode()
    answer = alices.post(WORKSPACE, {"password": PASSWORD}, follow=True)
    assert answer.status_code == 200
    assert "Alice &amp; Co is deleted." in answer.content.decode()
    workspace.refresh_from_db()
    assert workspace.deleted_at
    assert alice.workspaces.get().deleted_at is None
    job.refresh_from_db()
    assert job.state == "cancelled"


def test_who_has_another_workspace_is_in_that_one(alices: Client, alice: User, workspace: Workspace) -> None:
    other = create_workspace(alice, "another")
    alices.post(WORKSPACE, {"password": PASSWORD})
    assert list(alice.workspaces.all()) == [other]


def test_only_owners_delete_a_workspace(bobs: Client, bob: User, workspace: Workspace) -> None:
    for role in (Membership.Role.VIEWER, Membership.Role.MANAGER):
        bob.memberships.update(role=role)
        assert bobs.get(WORKSPACE).status_code == 403
        assert bobs.post(WORKSPACE, {"password": PASSWORD}).status_code == 403
        assert WORKSPACE not in bobs.get("/library").content.decode()
    assert Client().get(WORKSPACE).status_code == 302
    workspace.refresh_from_db()
    assert workspace.deleted_at is None
