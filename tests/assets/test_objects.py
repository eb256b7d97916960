"""Objects listed and removed by folder, on disk and in S3."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from assets import objects
from assets.objects import StorageAway, discard, discard_tree, listing

NAMES = {"workspaces/w/a/clip.mp4", "workspaces/w/a/poster.jpg", "workspaces/w/ab/clip.mp4", "loose"}


@pytest.fixture(params=["disk", "s3"])
def storage(request: pytest.FixtureRequest, settings: Any) -> None:
    if request.param == "s3":
        request.getfixturevalue("bucket")


def store(*names: str) -> None:
    for name in names:
        default_storage.save(name, ContentFile(b"four"))


def there(folder: str = "") -> set[str]:
    return {stored.name for stored in listing(folder)}


@pytest.mark.usefixtures("storage")
def test_everything_is_listed_and_folders_are_not_mistaken_for_one_another() -> None:
    assert there() == set()
    store(*NAMES)
    assert there() == NAMES
    assert there("workspaces/w/a") == {"workspaces/w/a/clip.mp4", "workspaces/w/a/poster.jpg"}
    assert there("nowhere") == set()
    one = next(listing("workspaces/w/ab"))
    assert one.size == 4
    assert timezone.now() - one.modified_at < timedelta(minutes=5)


@pytest.mark.usefixtures("storage")
def test_a_tree_goes_whole_and_nothing_else_does() -> None:
    store(*NAMES)
    discard_tree("workspaces/w/a")
    assert there() == {"workspaces/w/ab/clip.mp4", "loose"}
    discard_tree("workspaces/w/a")
    discard_tree("workspaces")
    assert there() == {"loose"}
    for nameless in ("", "/"):
        with pytest.raises(ValueError, match="must be named"):
            discard_tree(nameless)


@pytest.mark.usefixtures("storage")
def test_names_go_page_by_page_and_those_that_are_not_there_are_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "PAGE", 2)
    store(*NAMES)
    discard([*sorted(NAMES), "never-there"])
    assert there() == set()


def test_folders_go_with_their_files(settings: Any) -> None:
    store(*NAMES)
    discard_tree("workspaces/w/a")
    assert not (Path(settings.MEDIA_ROOT) / "workspaces/w/a").exists()
    assert (Path(settings.MEDIA_ROOT) / "workspaces/w/ab").is_dir()


def test_a_disk_that_is_not_mounted_is_not_taken_for_an_empty_one() -> None:
    with pytest.raises(StorageAway, match="is not there"):
        discard_tree("workspaces/w")


def test_what_s3_refuses_to_remove_is_an_error(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store("workspaces/w/a/clip.mp4")

    class Refusing:
        def delete_objects(self, Delete: Any) -> Any:  # noqa: N803  boto3's name
            return {"Errors": [{"Key": item["Key"], "Message": "Access Denied"} for item in Delete["Objects"]]}

    monkeypatch.setattr(objects, "_bucket", Refusing)
    with pytest.raises(StorageAway, match=r"1 objects stay, such as workspaces/w/a/clip\.mp4: Access Denied"):
        discard(["workspaces/w/a/clip.mp4"])


def test_parts_of_uploads_that_were_not_completed_go(bucket: Any) -> None:
    mine = bucket.Object("uploads/u1/file").initiate_multipart_upload()
    mine.Part(1).upload(Body=b"part")
    bucket.Object("uploads/u2/file").initiate_multipart_upload()
    (first, second) = sorted(objects.unfinished("uploads"), key=lambda one: one.name)
    assert (first.name, first.size, first.multipart_id) == ("uploads/u1/file", 4, mine.id)
    assert (second.name, second.size) == ("uploads/u2/file", 0)
    assert first.modified_at < timezone.now()  # moto says that all were begun in 2010
    discard_tree("uploads/u1")
    assert [left.object_key for left in bucket.multipart_uploads.all()] == ["uploads/u2/file"]
    objects.abort(second)
    objects.abort(second)  # it has ended: no error
    assert not list(objects.unfinished())
