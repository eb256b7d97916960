"""API keys, and changing the workspace."""

from __future__ import annotations

import re

from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from mutoscope.accounts import services
from mutoscope.accounts.models import ApiKey, Membership, User, Workspace
from mutoscope.accounts.selectors import SESSION_WORKSPACE
from mutoscope.accounts.services import authenticate_key, create_api_key

KEYS = reverse("dashboard:keys")
CREATE_KEY = reverse("dashboard:create_key")
SWITCH = reverse("dashboard:switch_workspace")


def _revoke(key: ApiKey) -> str:
    return reverse("dashboard:revoke_key", args=[key.pk])


def test_a_key_is_shown_once(alices: Client) -> None:
    answer = alices.post(CREATE_KEY, {"name": "Shop", "scopes": ["jobs:read", "jobs:write"]})
    found = re.search(r"muto_[0-9a-f]{8}_[\w-]+", answer.content.decode())
    assert found
    key = authenticate_key(found.group())
    assert key is not None
    assert (key.name, key.scopes) == ("Shop", ["jobs:read", "jobs:write"])
    assert "no-store" in answer["Cache-Control"]
    html = alices.get(KEYS).content.decode()
    assert found.group() not in html
    assert key.prefix in html
    assert "jobs:write" in html
    assert "Last used" in html


def test_what_is_wrong_with_a_new_key(alices: Client) -> None:
    answer = alices.post(CREATE_KEY, {"name": "  ", "scopes": ["jobs:read"]})
    html = answer.content.decode()
    assert answer.status_code == 422
    assert "a key needs a name that says where it is used" in html
    assert 'value="jobs:read" checked' in html
    assert 'value="jobs:write" checked' not in html
    html = alices.post(CREATE_KEY, {"name": "Shop import"}).content.decode()
    assert "scopes must be one or more of" in html
    assert 'value="Shop import"' in html
    assert not ApiKey.objects.exists()


def test_revoking(alices: Client, workspace: Workspace) -> None:
    key, token = create_api_key(workspace, name="Old", scopes=["jobs:read"], created_by=None)
    html = alices.post(_revoke(key), follow=True).content.decode()
    assert "The key Old is revoked" in html
    assert authenticate_key(token) is None
    assert _revoke(key) not in html


def test_keys_are_for_those_who_manage(
    alices: Client, bobs: Client, charlies: Client, workspace: Workspace
) -> None:
    key, _ = create_api_key(workspace, name="Ours", scopes=["jobs:read"], created_by=None)
    assert bobs.get(KEYS).status_code == 403
    assert bobs.post(CREATE_KEY, {"name": "x", "scopes": ["jobs:read"]}).status_code == 403
    assert bobs.post(_revoke(key)).status_code == 403
    assert charlies.post(_revoke(key)).status_code == 404
    assert "Ours" not in charlies.get(KEYS).content.decode()
    assert Client().get(KEYS).status_code == 302
    for path in (CREATE_KEY, _revoke(key)):
        assert Client().post(path).status_code == 302
    Membership.objects.filter(user__email="alice@example.org").update(role=Membership.Role.CREATOR)
    assert alices.get(KEYS).status_code == 403
    key.refresh_from_db()
    assert key.revoked_at is None
    assert KEYS not in alices.get(reverse("dashboard:library")).content.decode()


def test_many_keys_cost_no_more_queries(
    alices: Client, alice: User, workspace: Workspace, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(5):
        create_api_key(workspace, name=f"key {number}", scopes=["jobs:read"], created_by=alice)
    # session, user, memberships, keys with who made them, workspaces for the menu; four for the credits: the plan,
    # the month, whether its credits are entered, those there are
    with django_assert_num_queries(9):
        alices.get(KEYS)


def test_changing_the_workspace(alices: Client, alice: User, charlie: User) -> None:
    second = services.create_workspace(alice, "Second")
    assert 'value="' + str(second.pk) in alices.get(reverse("dashboard:library")).content.decode()
    assert alices.post(SWITCH, {"workspace": str(second.pk)}).status_code == 302
    assert alices.session[SESSION_WORKSPACE] == str(second.pk)
    assert "Owner in Second" in alices.get(reverse("dashboard:library")).content.decode()
    assert alices.post(SWITCH, {"workspace": str(charlie.workspaces.get().pk)}).status_code == 404
    assert alices.post(SWITCH, {"workspace": "nonsense"}).status_code == 404
    assert alices.session[SESSION_WORKSPACE] == str(second.pk)
    assert Client().post(SWITCH).status_code == 302


def test_somebody_without_a_workspace_is_told(db: None) -> None:
    client = Client()
    client.force_login(User.objects.create_user("dora@example.org"))
    answer = client.get(reverse("dashboard:create"))
    assert answer.status_code == 403
    assert "You are in no workspace" in answer.content.decode()
