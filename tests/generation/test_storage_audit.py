"""`manage.py storage audit`: what it finds in both directions, what it leaves alone, and what it removes."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.utils import timezone

from assets import trash
from assets.models import Asset, Rendition, Upload, folder_of
from assets.objects import listing
from generation import storage_audit
from generation.models import Attempt, Job, VisibleMark
from generation.retention import checkpoint_folder
from generation.storage_audit import Audit, audit
from mutoscope.accounts.models import Workspace
from mutoscope.accounts.selectors import Access
from tests.generation.samples import running

NOW = timedelta(0)


def store(name: str) -> str:
    return default_storage.save(name, ContentFile(b"four"))


def orphans(found: Audit) -> dict[str, str]:
    return {orphan.name: orphan.reason for orphan in found.orphans()}


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("storage", "audit", *arguments, stdout=out)
    return out.getvalue()


def test_what_rows_know_is_in_order(access: Access, picture: Asset, workspace: Workspace) -> None:
    folder = folder_of(workspace.pk, picture.pk)
    picture.master = store(f"{folder}/master.mp4")
    picture.save()
    Rendition.objects.create(asset=picture, format="webm", quality="small", file=store(f"{folder}/r.webm"))
    VisibleMark.objects.create(workspace=workspace, picture=store(f"marks/{workspace.pk}/mark.png"))
    job = running(access)
    Job.objects.filter(pk=job.pk).update(checkpoint=store(f"{checkpoint_folder(job.pk)}/1-4"))
    with audit(NOW) as found:
        assert orphans(found) == {}
        assert list(found.missing()) == []
        sums = {folder.name: (folder.objects, folder.orphans, folder.fresh) for folder in found.folders()}
    assert sums == {"workspaces": (4, 0, 0), "marks": (1, 0, 0), "checkpoints": (1, 0, 0)}
    assert "storage and database agree" in run("--grace", "0")


def test_what_is_being_made_needs_no_row_yet(access: Access, workspace: Workspace) -> None:
    job = running(access)
    clip = job.pk  # any id that no asset has
    Attempt.objects.filter(job=job).update(clip_id=clip)
    store(f"{folder_of(workspace.pk, clip)}/clip.mp4")
    sent = Upload.objects.create(
        workspace=workspace, name="a.mov", size_bytes=9, part_bytes=9, expires_at=timezone.now()
    )
    store(f"uploads/{sent.pk}/1")
    with audit(NOW) as found:
        assert orphans(found) == {}
    Attempt.objects.filter(job=job).update(outcome="failed")
    Upload.objects.update(state=Upload.State.ABANDONED)
    with audit(NOW) as found:
        assert sorted(orphans(found).values()) == ["its upload has ended", "no asset has it"]


def test_orphans_of_every_kind(access: Access, picture: Asset, workspace: Workspace) -> None:
    folder = folder_of(workspace.pk, picture.pk)
    job = running(access)
    stray = {
        store(f"{folder}/old-rendition.webm"): "its asset does not name it",
        store(f"workspaces/{workspace.pk}/{job.pk}/clip.mp4"): "no asset has it",
        store("workspaces/no-id/neither/clip.mp4"): "no asset has it",
        store("workspaces/loose.mp4"): "no asset has it",
        store(f"checkpoints/{picture.pk}/1-2"): "its job has ended",
        store("uploads/unknown/1"): "its upload has ended",
        store("marks/operator/old.png"): "no row names it",
        store("adapters/old.safetensors"): "no row names it",
    }
    with audit(NOW) as found:
        assert orphans(found) == stray
    with audit() as found:
        assert orphans(found) == {}
        assert sum(folder.fresh for folder in found.folders()) == len(stray)


def test_files_of_what_is_gone(picture: Asset) -> None:
    Asset.objects.update(deleted_at=timezone.now(), discard_at=timezone.now())
    with audit(NOW) as found:
        assert orphans(found) == {}  # it is due, and not yet said to be gone
    Asset.objects.update(discarded_at=timezone.now())
    with audit(NOW) as found:
        assert set(orphans(found).values()) == {"its asset is gone"}
        assert list(found.missing()) == []


def test_missing_files_are_told_with_their_rows(picture: Asset) -> None:
    default_storage.delete(picture.thumbnail.name)
    with audit(NOW) as found:
        missing = list(found.missing())
    assert [(one.name, one.row) for one in missing] == [(picture.thumbnail.name, f"assets.Asset {picture.pk}")]
    with pytest.raises(CommandError, match="0 objects in the storage are known to no row, and 1 files of rows"):
        run()


def test_what_comes_and_goes_meanwhile_is_not_told(access: Access, picture: Asset) -> None:
    default_storage.delete(picture.thumbnail.name)
    with audit(NOW) as found:
        Asset.objects.filter(pk=picture.pk).update(thumbnail="")
        assert list(found.missing()) == []
    Asset.objects.filter(pk=picture.pk).update(thumbnail=picture.thumbnail.name)
    with audit(NOW) as found:
        default_storage.save(picture.thumbnail.name, ContentFile(b"back"))
        assert list(found.missing()) == []


def test_others_things_in_the_bucket_are_left_alone(db: None) -> None:
    store("backups/database.dump")
    store("loose")
    said = run("--grace", "0", "--fix", "--yes")
    assert "backups: 1 object, 4\xa0bytes: not ours, left alone" in said
    assert "(in no folder): 1 object" in said
    assert {stored.name for stored in listing()} == {"backups/database.dump", "loose"}


def test_fixing_removes_orphans_and_nothing_else(
    access: Access, picture: Asset, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_audit.objects, "PAGE", 2)
    for number in range(5):
        store(f"workspaces/{workspace.pk}/{number}/clip.mp4")
    default_storage.delete(picture.thumbnail.name)
    with pytest.raises(CommandError, match="5 objects in the storage are known to no row, and 1 files"):
        run("--grace", "0")
    with pytest.raises(CommandError, match="0 objects in the storage are known to no row, and 1 files"):
        run("--grace", "0", "--fix", "--yes")
    assert [stored.name for stored in listing()] == [picture.file.name]
    assert Asset.objects.filter(pk=picture.pk, deleted_at=None).exists()


def test_what_a_row_knows_by_now_is_not_removed(picture: Asset, workspace: Workspace) -> None:
    late = store(f"{folder_of(workspace.pk, picture.pk)}/master.mp4")
    with audit(NOW) as found:
        assert late in orphans(found)
        Asset.objects.filter(pk=picture.pk).update(master=late)
        assert found.remove_orphans() == (0, 0)
    assert default_storage.exists(late)


@pytest.mark.parametrize(("answer", "is_left"), [("yes", False), ("no", True), ("", True)])
def test_it_asks_first(db: None, monkeypatch: pytest.MonkeyPatch, answer: str, is_left: bool) -> None:
    name = store("marks/operator/old.png")
    monkeypatch.setattr("builtins.input", lambda words: answer)
    if is_left:
        with pytest.raises(CommandError, match="1 objects"):
            run("--grace", "0", "--fix")
    else:
        assert "1 object removed, 4\xa0bytes" in run("--grace", "0", "--fix")
    assert default_storage.exists(name) is is_left


def test_where_nobody_can_answer(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    store("marks/operator/old.png")

    def nobody(words: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", nobody)
    with pytest.raises(CommandError, match="say --yes"):
        run("--grace", "0", "--fix")
    with pytest.raises(CommandError, match="--json --fix needs --yes"):
        run("--json", "--fix")
    with pytest.raises(CommandError, match="--grace must be 0 hours or more, but is -1"):
        run("--grace", "-1")


def test_for_programs(picture: Asset, capsys: Any) -> None:
    store("marks/operator/old.png")
    out = io.StringIO()
    with pytest.raises(CommandError):
        call_command("storage", "audit", "--json", "--grace", "0", stdout=out)
    body = json.loads(out.getvalue())
    assert (body["orphans"], body["missing"], body["removed"]) == (1, 0, 0)
    assert body["orphan_list"] == [{"name": "marks/operator/old.png", "size": 4, "reason": "no row names it"}]
    assert {folder["name"]: folder["objects"] for folder in body["folders"]} == {"marks": 1, "workspaces": 2}


def test_the_trash_is_known_until_it_is_gone(access: Access, picture: Asset) -> None:
    trash.delete(access, picture.pk)
    with audit(NOW) as found:
        assert orphans(found) == {}
        assert list(found.missing()) == []


def test_thousands_are_read_in_chunks(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_audit, "CHUNK", 3)
    names = {store(f"marks/operator/{number}.png") for number in range(10)}
    with audit(NOW) as found:
        assert set(orphans(found)) == names
