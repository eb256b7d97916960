"""The operators' pages for people and workspaces, where they reach beyond accounts: deleting all that is theirs.

The other pages of both are `mutoscope.accounts.admin`'s. The admin's log says who deleted what kind of thing and
when, but not its name: that is taken out with the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from generation.deletion import people, workspaces
from generation.deletion.contents import Contents, contents_of
from mutoscope.accounts.admin import UserAdmin, WorkspaceAdmin
from mutoscope.accounts.models import User, Workspace

admin.site.unregister(User)
admin.site.unregister(Workspace)


@admin.register(User)
class DeletableUserAdmin(UserAdmin):
    """Deleting a user deletes the workspaces that are theirs alone."""

    def get_deleted_objects(
        self, objs: Iterable[User], request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        rows: list[Any] = []
        count = {"users": 0, "workspaces": 0}
        for user in objs:
            theirs = [_in_words(contents_of(workspace)) for workspace in people.workspaces_of_theirs(user)]
            rows += [f"{user}: account, sessions, memberships", theirs] if theirs else [str(user)]
            count["users"] += 1
            count["workspaces"] += len(theirs)
        return rows, count, set(), []

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        people.delete(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in queryset:
            people.delete(user)


@admin.register(Workspace)
class DeletableWorkspaceAdmin(WorkspaceAdmin):
    """Deleting a workspace leaves its row, without a name, for the books."""

    list_display = [*WorkspaceAdmin.list_display, "deleted_at", "emptied_at"]
    list_filter = [("deleted_at", admin.EmptyFieldListFilter)]
    readonly_fields = [*WorkspaceAdmin.readonly_fields, "deleted_at", "emptied_at"]

    def has_change_permission(self, request: HttpRequest, obj: Workspace | None = None) -> bool:
        return not (obj and obj.deleted_at) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Workspace | None = None) -> bool:
        return not (obj and obj.deleted_at) and super().has_delete_permission(request, obj)

    def get_deleted_objects(
        self, objs: Iterable[Workspace], request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        found = [contents_of(workspace) for workspace in objs]
        count = {"workspaces": len(found), "assets": sum(one.assets for one in found)}
        return [_in_words(one) for one in found], count, set(), []

    def delete_model(self, request: HttpRequest, obj: Workspace) -> None:
        workspaces.delete(obj.pk)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Workspace]) -> None:
        for workspace in queryset:
            workspaces.delete(workspace.pk)


def _in_words(contents: Contents) -> str:
    return (
        f"{contents.workspace}: {contents.assets:,} assets with {contents.mib:,.0f} MiB, {contents.active_jobs} "
        f"jobs under way, {contents.keys} API keys, {contents.people} people, {contents.credits:,} credits"
    )
