"""What may be seen of accounts, always from within one user or one workspace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from mutoscope.accounts.models import ApiKey, Membership, User, Workspace
from mutoscope.errors import NotFound

SESSION_WORKSPACE = "workspace_id"
"""Session key: the workspace that the person is working in."""

_ROLE_SCOPES = {
    Membership.Role.VIEWER: {ApiKey.Scope.ASSETS_READ, ApiKey.Scope.JOBS_READ},
    Membership.Role.CREATOR: set(ApiKey.Scope),
    Membership.Role.MANAGER: set(ApiKey.Scope),
    Membership.Role.OWNER: set(ApiKey.Scope),
}
_MANAGING = {Membership.Role.MANAGER, Membership.Role.OWNER}


@dataclass(frozen=True, slots=True)
class Access:
    """Who is asking, in which workspace, and what they may do there: the answer for people and keys alike."""

    workspace: Workspace
    scopes: frozenset[str]
    user: User | None = None
    key: ApiKey | None = None
    role: str = ""

    @property
    def manages(self) -> bool:
        """Whether API keys and members of the workspace are theirs to change."""
        return self.role in _MANAGING

    def allows(self, scope: str) -> bool:
        return scope in self.scopes


def access_by_key(key: ApiKey) -> Access:
    """What a key may do."""
    return Access(workspace=key.workspace, scopes=frozenset(key.scopes), key=key)


def access_by_session(user: User, session: Any) -> Access | None:
    """What a signed-in person may do in the workspace they chose (else their first); None without one."""
    memberships = list(
        user.memberships.select_related("workspace").filter(workspace__deleted_at=None).order_by("pk")
    )
    chosen = str(session.get(SESSION_WORKSPACE, ""))
    membership = next((m for m in memberships if str(m.workspace_id) == chosen), None)
    membership = membership or (memberships[0] if memberships else None)
    if membership is None:
        return None
    return Access(
        workspace=membership.workspace,
        scopes=frozenset(_ROLE_SCOPES[Membership.Role(membership.role)]),
        user=user,
        role=membership.role,
    )


def workspace_of(user: User, workspace_id: UUID) -> Workspace:
    """One of the user's workspaces. Raises `NotFound` for any other."""
    workspace = Workspace.objects.filter(memberships__user=user, pk=workspace_id).first()
    if workspace is None:
        raise NotFound(f"you are in no workspace with the id {workspace_id}")
    return workspace


def workspaces_of(user: User) -> QuerySet[Workspace]:
    """The workspaces that the user is in, by name."""
    return Workspace.objects.filter(memberships__user=user).order_by("name", "pk")


def managers_of(workspace: Workspace) -> QuerySet[User]:
    """Owners and managers of the workspace whose accounts are active."""
    return User.objects.filter(
        memberships__workspace=workspace, memberships__role__in=_MANAGING, is_active=True
    ).order_by("email")


def api_keys(workspace: Workspace) -> QuerySet[ApiKey]:
    """The workspace's keys, newest first, revoked ones included."""
    return ApiKey.objects.filter(workspace=workspace).select_related("created_by")


def api_key(workspace: Workspace, key_id: UUID) -> ApiKey:
    """One key of the workspace. Raises `NotFound`."""
    key = api_keys(workspace).filter(pk=key_id).first()
    if key is None:
        raise NotFound(f"no API key has the id {key_id}")
    return key
