"""The audit, and deleting a workspace, where media are in S3."""

from __future__ import annotations

from datetime import timedelta
from math import inf
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from generation.deletion import workspaces
from generation.storage_audit import audit
from mutoscope.accounts.selectors import Access
from tests.generation.deletion.estates import furnish


def test_the_audit_finds_both_and_removes_orphans(access: Access, bucket: Any) -> None:
    furnish(access)
    default_storage.save("workspaces/w/a/clip.mp4", ContentFile(b"four"))
    named = access.workspace.assets.filter(kind="image").get()
    bucket.Object(named.thumbnail.name).delete()
    stray = {"master.mp4", "poster.jpg", "rendition.webm", "clip.mp4"}  # no field names them but the clip itself
    with audit(timedelta(0)) as found:
        orphans = {orphan.name.rpartition("/")[2] for orphan in found.orphans()}
        assert orphans == stray
        assert [one.name for one in found.missing()] == [named.thumbnail.name]
        assert found.remove_orphans()[0] == 4
    with audit(timedelta(0)) as found:
        assert not list(found.orphans())


def test_a_deleted_workspace_leaves_no_object(access: Access, bucket: Any) -> None:
    furnish(access)
    bucket.Object("others/thing").put(Body=b"x")
    workspaces.delete(access.workspace.pk)
    assert workspaces.carry_on(until=inf) == 1
    assert [item.key for item in bucket.objects.all()] == ["others/thing"]
