"""Deleting a person: their account, and the workspaces that are theirs alone.

What they made in a workspace with another owner belongs to that workspace: it stays there, without their name.
"""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, QuerySet

from generation.deletion import traces, workspaces
from generation.models import Job
from mutoscope.accounts.models import Membership, User, Workspace

OWNER = Membership.Role.OWNER


def workspaces_of_theirs(user: User) -> QuerySet[Workspace]:
    """Workspaces that the person alone owns: they go with the account, whoever else is in them."""
    others = Membership.objects.filter(workspace=OuterRef("pk"), role=OWNER).exclude(user=user)
    owned = Membership.objects.filter(workspace=OuterRef("pk"), role=OWNER, user=user)
    return Workspace.objects.filter(Exists(owned), ~Exists(others), deleted_at=None).order_by("pk")


def workspaces_left(user: User) -> QuerySet[Workspace]:
    """Workspaces that the person is in and that stay, because they have another owner."""
    theirs = workspaces_of_theirs(user).values("pk")
    return user.workspaces.exclude(pk__in=theirs).annotate(people=Count("memberships")).order_by("pk")


def delete(user: User) -> list[UUID]:
    """Delete the account, and with it the workspaces that are theirs alone. Returns those.

    Account, sessions, addresses and memberships are gone when this returns, and nobody gets into the workspaces
    any more; their files and rows are removed by `workspaces.carry_on`.
    """
    # Before the transaction: jobs that end lock themselves first and their workspace then.
    for workspace_id in workspaces_of_theirs(user).values_list("pk", flat=True):
        workspaces.cancel_jobs(workspace_id)
    Job.objects.filter(created_by=user).update(created_by=None)
    with transaction.atomic():
        # Of two owners who leave at once, the second finds that the workspace is theirs alone.
        held = Workspace.objects.filter(memberships__user=user).order_by("pk")
        list(held.select_for_update(no_key=True, of=("self",)).only("pk"))
        theirs = list(workspaces_of_theirs(user).values_list("pk", flat=True))
        workspaces.mark_deleted(theirs)
        traces.forget_person(user)
        user.delete()
    for workspace_id in theirs:
        workspaces.cancel_jobs(workspace_id)  # what was submitted meanwhile
    return theirs
