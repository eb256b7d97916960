"""Who may do what: roles of people, scopes of programs, and the session of a browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from assets.models import Asset
from generation.models import Job
from mutoscope.accounts.models import Membership, User, Workspace
from mutoscope.accounts.selectors import SESSION_WORKSPACE, access_by_session, workspace_of
from mutoscope.accounts.services import create_workspace
from mutoscope.errors import NotFound
from tests.conftest import is_problem, picture_file

ALL = {"assets:read", "assets:write", "jobs:read", "jobs:write"}
READ = {"assets:read", "jobs:read"}
WRITES = [
    ("post", "/api/v1/assets", "assets:write"),
    ("delete", "/api/v1/assets/{picture}", "assets:write"),
    ("post", "/api/v1/jobs", "jobs:write"),
    ("post", "/api/v1/jobs/{picture}/cancel", "jobs:write"),
]
READS = [
    ("/api/v1/assets", "assets:read"),
    ("/api/v1/assets/{picture}", "assets:read"),
    ("/api/v1/jobs", "jobs:read"),
    ("/api/v1/jobs/{picture}", "jobs:read"),
    ("/api/v1/jobs/{picture}/events", "jobs:read"),
]


@pytest.mark.parametrize(
    ("role", "scopes", "manages"),
    [("viewer", READ, False), ("creator", ALL, False), ("manager", ALL, True), ("owner", ALL, True)],
)
def test_what_each_role_may_do(db: None, role: str, scopes: set[str], manages: bool) -> None:
    dora = User.objects.create_user("dora@example.org")
    workspace = Workspace.objects.create(name="Dora's")
    Membership.objects.create(user=dora, workspace=workspace, role=role)
    access = access_by_session(dora, {})
    assert access is not None
    assert (set(access.scopes), access.manages, access.role) == (scopes, manages, role)


def test_somebody_in_no_workspace_has_no_access(db: None) -> None:
    dora = User.objects.create_user("dora@example.org")
    assert access_by_session(dora, {}) is None
    client = APIClient()
    client.force_login(dora)
    is_problem(client.get("/api/v1/jobs"), 401, "not_authenticated")


def test_the_session_chooses_among_ones_own_workspaces_only(
    alice: User, workspace: Workspace, charlie: User
) -> None:
    second = create_workspace(alice, "Second")
    foreign = charlie.workspaces.get()
    chosen = [access_by_session(alice, {SESSION_WORKSPACE: str(w.pk)}) for w in (workspace, second, foreign)]
    assert [access.workspace for access in chosen if access] == [workspace, second, workspace]
    assert workspace_of(alice, second.pk) == second
    with pytest.raises(NotFound):
        workspace_of(alice, foreign.pk)


def test_a_viewer_sees_everything(bob: User, picture: Asset, api: APIClient) -> None:
    job = api.post("/api/v1/jobs", {"model": "still", "picture": picture.pk}, format="json").json()
    client = APIClient()
    client.force_login(bob)
    assert client.get("/api/v1/me").json()["role"] == "viewer"
    assert [a["id"] for a in client.get("/api/v1/assets").json()["results"]] == [str(picture.pk)]
    assert [j["id"] for j in client.get("/api/v1/jobs").json()["results"]] == [job["id"]]
    for path in (f"jobs/{job['id']}", f"jobs/{job['id']}/events", f"assets/{picture.pk}", "models"):
        assert client.get(f"/api/v1/{path}").status_code == 200


@pytest.mark.parametrize(("method", "path", "scope"), WRITES)
def test_a_viewer_changes_nothing(bob: User, picture: Asset, method: str, path: str, scope: str) -> None:
    client = APIClient()
    client.force_login(bob)
    body = is_problem(getattr(client, method)(path.format(picture=picture.pk)), 403, "scope_missing")
    assert body["scope"] == scope
    assert scope in body["detail"]
    assert "the role viewer" in body["detail"]
    assert (Asset.objects.filter(deleted_at=None).count(), Job.objects.count()) == (1, 0)


@pytest.mark.parametrize(("method", "path", "scope"), WRITES)
def test_a_key_writes_with_the_scope_for_it_only(
    api_with: Callable[..., APIClient], picture: Asset, method: str, path: str, scope: str
) -> None:
    client = api_with(*(ALL - {scope}))
    body = is_problem(getattr(client, method)(path.format(picture=picture.pk)), 403, "scope_missing")
    assert body["scope"] == scope
    assert (Asset.objects.filter(deleted_at=None).count(), Job.objects.count()) == (1, 0)


@pytest.mark.parametrize(("path", "scope"), READS)
def test_a_key_reads_with_the_scope_for_it_only(
    api_with: Callable[..., APIClient], picture: Asset, path: str, scope: str
) -> None:
    client = api_with(*(ALL - {scope}))
    assert is_problem(client.get(path.format(picture=picture.pk)), 403, "scope_missing")["scope"] == scope


def test_a_session_may_write_with_the_csrf_token_only(alice: User, workspace: Workspace) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)

    def upload(**headers: Any) -> Any:
        return client.post("/api/v1/assets", {"file": picture_file()}, **headers)

    assert client.get("/api/v1/assets").status_code == 200  # reading needs none
    is_problem(upload(), 403, "permission_denied")
    is_problem(upload(HTTP_X_CSRFTOKEN="x" * 32), 403, "permission_denied")
    assert not Asset.objects.exists()
    token = "a" * 32
    client.cookies["csrftoken"] = token
    created = upload(HTTP_X_CSRFTOKEN=token)
    assert created.status_code == 201
    assert Asset.objects.get().created_by == alice


def test_a_key_needs_no_csrf_token(api: APIClient) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {api.token}")  # type: ignore[attr-defined]
    assert client.post("/api/v1/assets", {"file": picture_file()}).status_code == 201


def test_a_bad_key_is_not_made_good_by_a_session(alice: User, workspace: Workspace) -> None:
    client = APIClient()
    client.force_login(alice)
    is_problem(client.get("/api/v1/me", HTTP_AUTHORIZATION="Bearer no"), 401, "authentication_failed")
