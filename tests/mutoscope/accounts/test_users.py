"""People: one account an e-mail address, and a workspace for everybody who comes in."""

from __future__ import annotations

import pytest
from django.db import IntegrityError
from django.test import Client

from mutoscope.accounts.models import Membership, User, Workspace
from mutoscope.accounts.services import ensure_personal_workspace
from tests.conftest import is_problem

PASSWORD = "correct horse battery"


def sign_up(client: Client, email: str, password: str = PASSWORD) -> int:
    # `next` is a page that exists whatever the dashboard looks like.
    form = {"email": email, "password1": password, "next": "/api/v1/me"}
    return client.post("/account/signup/", form).status_code


def sign_in(client: Client, email: str, password: str = PASSWORD) -> int:
    form = {"login": email, "password": password, "next": "/api/v1/me"}
    return client.post("/account/login/", form).status_code


def test_an_address_is_one_account_whatever_its_case(alice: User) -> None:
    assert User.objects.get_by_natural_key("ALICE@Example.Org") == alice
    with pytest.raises(IntegrityError):
        User.objects.create(email="Alice@example.org")


def test_addresses_are_kept_in_lower_case(db: None) -> None:
    assert User.objects.create_user(" Dora@Example.ORG ").email == "dora@example.org"


def test_signing_up_makes_an_account_and_a_workspace(db: None, client: Client) -> None:
    assert sign_up(client, "Dora@Example.org") == 302
    dora = User.objects.get()
    membership = dora.memberships.get()
    assert (dora.email, membership.role) == ("dora@example.org", Membership.Role.OWNER)
    me = client.get("/api/v1/me").json()
    assert (me["user"], me["role"], me["api_key"]) == ("dora@example.org", "owner", None)
    assert me["workspace"]["id"] == str(membership.workspace_id)
    assert (dora.is_staff, dora.is_superuser) == (False, False)


@pytest.mark.parametrize("password", ["short", "1234567890", "password123", "dora@example.org"])
def test_signing_up_refuses_weak_passwords(db: None, client: Client, password: str) -> None:
    assert sign_up(client, "dora@example.org", password) == 200  # the form again, with what is wrong
    assert not User.objects.exists()


def test_signing_up_with_a_taken_address_makes_no_second_account(alice: User, client: Client) -> None:
    sign_up(client, "ALICE@example.org")
    assert User.objects.get() == alice
    assert client.get("/api/v1/me").status_code == 401


def test_operators_can_close_signing_up(db: None, client: Client, settings: object) -> None:
    settings.SIGNUP_OPEN = False  # type: ignore[attr-defined]
    sign_up(client, "dora@example.org")
    assert not User.objects.exists()


def test_signing_in_takes_the_address_in_any_case(alice: User, workspace: Workspace, client: Client) -> None:
    assert sign_in(client, "Alice@EXAMPLE.org") == 302
    assert client.get("/api/v1/me").json()["workspace"]["name"] == "Alice & Co"
    assert Workspace.objects.count() == 1  # no second one for who has one


def test_signing_in_without_a_workspace_makes_one(alice: User, client: Client) -> None:
    assert sign_in(client, "alice@example.org") == 302
    assert client.get("/api/v1/workspace").json()["name"] == "Alice"
    assert ensure_personal_workspace(alice) == alice.workspaces.get()


@pytest.mark.parametrize(("email", "password"), [("alice@example.org", "wrong"), ("who@example.org", PASSWORD)])
def test_signing_in_refuses_strangers(alice: User, client: Client, email: str, password: str) -> None:
    assert sign_in(client, email, password) == 200
    is_problem(client.get("/api/v1/me"), 401, "not_authenticated")


def test_a_deactivated_person_is_out_at_once(alice: User, workspace: Workspace, client: Client) -> None:
    client.force_login(alice)
    assert client.get("/api/v1/me").status_code == 200
    User.objects.filter(pk=alice.pk).update(is_active=False)
    is_problem(client.get("/api/v1/me"), 401, "not_authenticated")
    sign_in(client, "alice@example.org")
    is_problem(client.get("/api/v1/me"), 401, "not_authenticated")
