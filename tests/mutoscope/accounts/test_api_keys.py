"""API keys: shown once, kept as a hash, scoped, revocable."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from mutoscope.accounts import selectors, services
from mutoscope.accounts.models import ApiKey, User, Workspace
from mutoscope.errors import NotFound, Refusal
from tests.conftest import is_problem


def make_key(workspace: Workspace, *scopes: str, name: str = "CI") -> tuple[ApiKey, str]:
    return services.create_api_key(workspace, name=name, scopes=scopes or ["jobs:read"], created_by=None)


def get_me(authorization: str) -> Any:
    return APIClient().get("/api/v1/me", HTTP_AUTHORIZATION=authorization)


def test_the_token_is_in_nothing_that_is_kept(workspace: Workspace) -> None:
    key, token = make_key(workspace)
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(k)::text FROM accounts_apikey k WHERE id = %s", [key.pk])
        row = cursor.fetchone()[0]
    secret = token.removeprefix(key.prefix)
    assert len(secret) > 40
    assert token not in row
    assert secret not in row
    assert hashlib.sha256(token.encode()).hexdigest() in row


def test_the_prefix_tells_keys_apart(workspace: Workspace) -> None:
    key, token = make_key(workspace)
    other, _ = make_key(workspace)
    assert token.startswith(f"{key.prefix}_")
    assert key.prefix.startswith("muto_")
    assert key.prefix != other.prefix
    assert get_me(f"Bearer {token}").json()["api_key"] == key.prefix


@pytest.mark.parametrize("scopes", [[], ["jobs:read", "jobs:own"], ["*"]])
def test_scopes_must_be_known_ones(workspace: Workspace, scopes: list[str]) -> None:
    with pytest.raises(Refusal) as refused:
        services.create_api_key(workspace, name="CI", scopes=scopes, created_by=None)
    assert (refused.value.code, refused.value.field) == ("scopes_invalid", "scopes")
    assert "assets:read, assets:write, jobs:read, jobs:write" in refused.value.message
    assert not ApiKey.objects.exists()


def test_a_key_needs_a_name(workspace: Workspace) -> None:
    with pytest.raises(Refusal) as refused:
        make_key(workspace, name="  ")
    assert refused.value.code == "name_missing"


def test_a_key_lets_its_program_in(workspace: Workspace) -> None:
    _, token = make_key(workspace, "jobs:write", "assets:read")
    me = get_me(f"Bearer {token}").json()
    assert (me["user"], me["role"], me["scopes"]) == (None, "", ["assets:read", "jobs:write"])
    assert me["workspace"]["id"] == str(workspace.pk)


def test_a_revoked_key_is_refused_from_then_on(workspace: Workspace) -> None:
    key, token = make_key(workspace)
    assert get_me(f"Bearer {token}").status_code == 200
    assert services.revoke_api_key(key) is True
    assert services.revoke_api_key(key) is False  # it was the first call that did it
    is_problem(get_me(f"Bearer {token}"), 401, "authentication_failed")


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer", "Bearer ", "Bearer garbage", "Bearer muto_00000000_x", "Basic {token}", "Token {token}",
        "{token}", "Bearer {token}x", "Bearer {prefix}", "Bearer {digest}", "Bearer ÿ\u00fe",
    ],
)  # fmt: skip
def test_whatever_is_no_key_is_refused_with_a_challenge(workspace: Workspace, authorization: str) -> None:
    key, token = make_key(workspace)
    header = authorization.format(token=token, prefix=key.prefix, digest=key.digest)
    response = get_me(header)
    is_problem(response, 401, "authentication_failed")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_no_key_at_all_is_refused_with_a_challenge(db: None) -> None:
    response = APIClient().get("/api/v1/me")
    is_problem(response, 401, "not_authenticated")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_the_scheme_is_recognised_in_any_case(workspace: Workspace) -> None:
    _, token = make_key(workspace)
    assert get_me(f"bearer {token}").status_code == 200


def test_the_time_of_use_is_written_at_most_once_a_minute(workspace: Workspace) -> None:
    key, token = make_key(workspace)

    def used() -> Any:
        key.refresh_from_db()
        return key.last_used_at

    assert used() is None
    services.authenticate_key(token)
    first = used()
    assert timezone.now() - first < timedelta(seconds=30)
    services.authenticate_key(token)
    assert used() == first
    long_ago = timezone.now() - timedelta(seconds=61)
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=long_ago)
    services.authenticate_key(token)
    assert used() > long_ago


def test_keys_are_seen_from_their_own_workspace_alone(workspace: Workspace, charlie: User) -> None:
    key, _ = make_key(workspace)
    assert list(selectors.api_keys(workspace)) == [key]
    assert selectors.api_key(workspace, key.pk) == key
    charlies = charlie.workspaces.get()
    assert not selectors.api_keys(charlies).exists()
    with pytest.raises(NotFound):
        selectors.api_key(charlies, key.pk)
