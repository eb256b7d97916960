"""What may be done with accounts. Each function is one transaction."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from mutoscope.accounts.models import ApiKey, Membership, User, Workspace
from mutoscope.errors import NotFound, Refusal

KEY_PREFIX = "muto"
LAST_USED_RESOLUTION = timedelta(minutes=1)
"""`last_used_at` is written at most this often, so that a busy key does not write a row a request."""


@transaction.atomic
def create_workspace(owner: User, name: str) -> Workspace:
    """Make a workspace with `owner` in it."""
    workspace = Workspace.objects.create(name=name)
    Membership.objects.create(user=owner, workspace=workspace, role=Membership.Role.OWNER)
    return workspace


def hold_workspace(workspace_id: UUID) -> None:
    """Hold the workspace until the end of the transaction: what is put into it comes one by one.

    Raises `NotFound` for one that has been deleted, so that nothing comes into it afterwards.
    """
    living = Workspace.objects.select_for_update(no_key=True).filter(deleted_at=None)
    if living.filter(pk=workspace_id).only("pk").first() is None:
        raise NotFound("the workspace has been deleted")


@transaction.atomic
def ensure_personal_workspace(user: User) -> Workspace:
    """The user's first workspace, made now if there is none. Safe to call at every sign-in."""
    User.objects.select_for_update().get(pk=user.pk)
    living = user.memberships.filter(workspace__deleted_at=None)
    membership = living.select_related("workspace").order_by("pk").first()
    if membership:
        return membership.workspace
    return create_workspace(user, name=(user.name or user.email.partition("@")[0]).strip())


@transaction.atomic
def create_api_key(
    workspace: Workspace, *, name: str, scopes: Sequence[str], created_by: User | None
) -> tuple[ApiKey, str]:
    """Make a key. Returns it with the token itself, which cannot be had again.

    The token is `muto_PREFIX_SECRET` with 256 random bits, so a plain SHA-256 of it is safe to keep.
    Raises `Refusal` for an empty name, no scope or an unknown one.
    """
    if not name.strip():
        raise Refusal("a key needs a name that says where it is used", code="name_missing", field="name")
    unknown = sorted(set(scopes) - set(ApiKey.Scope.values))
    if unknown or not scopes:
        raise Refusal(
            f"scopes must be one or more of {', '.join(ApiKey.Scope.values)}, but are "
            f"{', '.join(scopes) or 'none'}",
            code="scopes_invalid",
            field="scopes",
        )
    prefix = f"{KEY_PREFIX}_{secrets.token_hex(4)}"
    token = f"{prefix}_{secrets.token_urlsafe(32)}"
    key = ApiKey.objects.create(
        workspace=workspace,
        created_by=created_by,
        name=name.strip(),
        prefix=prefix,
        digest=_digest(token),
        scopes=sorted(set(scopes)),
    )
    return key, token


def revoke_api_key(key: ApiKey) -> bool:
    """Make the key worthless from now on. Returns whether this call did it."""
    return bool(ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()))


def authenticate_key(token: str) -> ApiKey | None:
    """The live key that `token` is, with its workspace, or None; notes that it was used."""
    key = (
        ApiKey.objects.select_related("workspace").filter(digest=_digest(token), revoked_at=None).first()
        if token.startswith(f"{KEY_PREFIX}_")
        else None
    )
    now = timezone.now()
    if key and (key.last_used_at is None or key.last_used_at < now - LAST_USED_RESOLUTION):
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
    return key


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
