"""The audit, and deleting a workspace, where media are in S3."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from math import inf
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from assets import objects
from assets.models import Upload
from assets.services import upload
from generation.deletion import workspaces
from generation.storage_audit import audit
from mutoscope.accounts.selectors import Access
from tests.conftest import picture_file
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


def test_files_that_were_never_completed_are_orphans_too(
    access: Access, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = upload(access, picture_file()).file.name
    begun = [bucket.Object(named).initiate_multipart_upload() for _ in range(2)]
    begun[0].Part(1).upload(Body=b"part")
    asked = objects.unfinished
    sent = Upload.objects.create(
        workspace=access.workspace, name="a.mov", size_bytes=9, part_bytes=5, expires_at=timezone.now()
    )
    bucket.Object(f"uploads/{sent.pk}/whole").initiate_multipart_upload()
    bucket.Object("others/thing").initiate_multipart_upload()
    with monkeypatch.context() as patch:  # moto says that all were begun in 2010
        patch.setattr(objects, "unfinished", lambda: [replace(one, modified_at=timezone.now()) for one in asked()])
        with audit(timedelta(hours=1)) as found:
            assert not list(found.orphans())
            assert {folder.name: folder.fresh for folder in found.folders()}["workspaces"] == 2
    with audit(timedelta(0)) as found:
        assert [(one.name, one.reason) for one in found.orphans()] == [
            (named, "parts of it were sent, and it was never completed")
        ] * 2
        assert found.remove_orphans() == (2, 4)
        assert not list(found.missing())
    left = sorted(upload.object_key for upload in bucket.multipart_uploads.all())
    assert left == ["others/thing", f"uploads/{sent.pk}/whole"]
    assert bucket.Object(named).get()["Body"].read()  # what was there before is as it was


def test_a_deleted_workspace_leaves_no_object(access: Access, bucket: Any) -> None:
    furnish(access)
    bucket.Object("others/thing").put(Body=b"x")
    workspaces.delete(access.workspace.pk)
    assert workspaces.carry_on(until=inf) == 1
    assert [item.key for item in bucket.objects.all()] == ["others/thing"]
