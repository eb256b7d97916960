"""Which marks clips carry, and that they are in the clip, or not at all."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import ffmpeg
import numpy as np
import pytest
from django.core.files.storage import default_storage
from numpy.typing import NDArray
from PIL import Image
from pytest_django import DjangoCaptureOnCommitCallbacks

from billing.models import Plan
from generation.models import VisibleMark
from generation.outputs.encoding import MASTER, Form, Target, encode
from generation.outputs.visible import digest_of, overlays_for
from generation.outputs.visible.editing import (
    InvalidMark,
    MarkWish,
    mark_of,
    operators_mark,
    preview,
    remove_mark,
    set_mark,
)
from mutoscope.accounts.models import User, Workspace
from mutoscope.accounts.selectors import Access, access_by_session
from mutoscope.errors import Forbidden
from mutoscope.media import ffmpeg_executable
from tests.generation.outputs.clips import SOURCE, frames, own_mark
from tests.generation.outputs.visible.test_drawing import logo, png


def encoded(workspace: Workspace, folder: Path, form: Form = MASTER) -> bytes:
    folder.mkdir()
    overlays = overlays_for(workspace.pk, SOURCE.width, SOURCE.height, folder, seconds=SOURCE.seconds)
    encode(frames(), SOURCE, [Target(folder / "clip.mp4", form, overlays)])
    return (folder / "clip.mp4").read_bytes()


def decoded(clip: bytes, path: Path) -> NDArray[np.uint8]:
    path.write_bytes(clip)
    raw, _ = (
        ffmpeg.input(str(path)).output("pipe:", format="rawvideo", pix_fmt="rgb24").run(
            cmd=ffmpeg_executable(), capture_stdout=True, quiet=True
        )
    )  # fmt: skip
    return np.frombuffer(raw, np.uint8).reshape(-1, SOURCE.height, SOURCE.width, 3)


def test_a_clip_without_marks_is_exactly_as_if_there_were_none(workspace: Workspace, tmp_path: Path) -> None:
    assert operators_mark() is not None
    assert digest_of(workspace.pk) == ""
    plain = tmp_path / "plain.mp4"
    encode(frames(), SOURCE, [Target(plain, MASTER)])
    assert encoded(workspace, tmp_path / "unmarked") == plain.read_bytes()


def test_the_operators_mark_goes_by_the_plan(workspace: Workspace, tmp_path: Path) -> None:
    plain = encoded(workspace, tmp_path / "plain")
    Plan.objects.update(watermark=True)
    marked = encoded(workspace, tmp_path / "marked")
    changed = np.abs(
        decoded(marked, tmp_path / "a.mp4").astype(int) - decoded(plain, tmp_path / "b.mp4").astype(int)
    ).max(axis=(0, 3))
    assert changed[70:, 40:].max() > 60  # below on the right
    assert changed[:48].max() < 12  # nowhere else, but for what encoding makes of it
    VisibleMark.objects.update(is_on=False)
    assert encoded(workspace, tmp_path / "off") == plain


def test_a_workspace_has_its_own_on_any_plan(workspace: Workspace, charlie: User, tmp_path: Path) -> None:
    own_mark(workspace)
    assert len(overlays_for(workspace.pk, 160, 96, tmp_path)) == 1
    Plan.objects.update(watermark=True)
    assert len(overlays_for(workspace.pk, 160, 96, tmp_path)) == 2
    others = charlie.workspaces.get()
    assert len(overlays_for(others.pk, 160, 96, tmp_path)) == 1


def test_a_drifting_mark_is_drawn_elsewhere_in_each_frame(workspace: Workspace, tmp_path: Path) -> None:
    plain = encoded(workspace, tmp_path / "plain")
    own_mark(workspace, drifts=True, size=0.2)
    marked = encoded(workspace, tmp_path / "marked")
    changed = np.abs(
        decoded(marked, tmp_path / "a.mp4").astype(int) - decoded(plain, tmp_path / "b.mp4").astype(int)
    ).max(axis=3)
    centres = [np.argwhere(frame > 60).mean(axis=0) for frame in changed]
    # In two seconds it is half round: from the middle of the left over the top towards that of the right.
    assert (centres[0][1] < 50, centres[-1][1] > 100) == (True, True)
    assert min(centre[0] for centre in centres) < 25


def test_the_digest_is_of_all_that_is_drawn(workspace: Workspace) -> None:
    mark = own_mark(workspace)
    seen = {digest_of(workspace.pk)}
    for change in ({"text": "B"}, {"size": 0.3}, {"opacity": 0.5}, {"position": "center"}, {"drifts": True}):
        VisibleMark.objects.filter(pk=mark.pk).update(**change)
        seen.add(digest_of(workspace.pk))
    Plan.objects.update(watermark=True)
    seen.add(digest_of(workspace.pk))
    assert len(seen) == 7
    assert {len(digest) for digest in seen} == {64}


def test_a_picture_is_checked_cropped_and_kept(
    access: Access, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    wide = Image.new("RGBA", (300, 200), (0, 0, 0, 0))
    wide.paste(Image.new("RGBA", (80, 40), "red"), (100, 100))
    mark = set_mark(access, MarkWish(picture=BytesIO(png(wide))))
    with default_storage.open(mark.picture.name) as file, Image.open(file) as kept:
        assert kept.size == (80, 40)
    first = mark.picture.name
    assert set_mark(access, MarkWish(size=0.4)).picture.name == first
    with django_capture_on_commit_callbacks(execute=True):
        second = set_mark(access, MarkWish(picture=BytesIO(logo("blue"))))
    assert not default_storage.exists(first or "")
    assert default_storage.exists(second.picture.name or "")
    assert preview([second])[:4] == b"\x89PNG"
    with django_capture_on_commit_callbacks(execute=True):
        assert remove_mark(access)
    assert not default_storage.exists(second.picture.name or "")
    assert mark_of(access.workspace) is None
    assert not remove_mark(access)


@pytest.mark.parametrize(
    ("wish", "rule"),
    [
        (MarkWish(), "needs a text or a picture"),
        (MarkWish(text="x" * 61), "at most 60 characters, but has 61"),
        (MarkWish(text="東京"), "no sign for 東 京"),
        (MarkWish(text="a", position="middle"), "position must be one of top_left"),
        (MarkWish(text="a", size=1.5), "size must be between 0.05 and 1, but is 1.5"),
        (MarkWish(text="a", size=float("nan")), "size must be between"),
        (MarkWish(text="a", opacity=0), "opacity must be between 0.1 and 1, but is 0"),
        (MarkWish(picture=BytesIO(b"GIF89a")), "GIF"),
        (MarkWish(picture=BytesIO(logo("red")[:200])), "damaged or cut short"),
        (MarkWish(picture=BytesIO(png(Image.new("RGBA", (64, 64), (0, 0, 0, 0))))), "see-through"),
        (MarkWish(picture=BytesIO(png(Image.new("RGB", (8, 8))))), "16"),
        (MarkWish(picture=BytesIO(b"\x89PNG\r\n\x1a\n" + bytes(3 * 2**20))), "2,097,152 bytes"),
    ],
)
def test_what_cannot_be_drawn_is_refused(access: Access, wish: MarkWish, rule: str) -> None:
    with pytest.raises(InvalidMark, match=rule):
        set_mark(access, wish)
    assert mark_of(access.workspace) is None


def test_another_kind_of_picture_is_refused(access: Access) -> None:
    target = BytesIO()
    Image.new("RGB", (64, 64), "red").save(target, "JPEG")
    with pytest.raises(InvalidMark, match="must be a PNG, but this is image/jpeg"):
        set_mark(access, MarkWish(picture=target))


def test_only_managers_change_it(workspace: Workspace, bob: User) -> None:
    viewer = access_by_session(bob, {})
    assert viewer
    with pytest.raises(Forbidden):
        set_mark(viewer, MarkWish(text="Bob was here"))
    with pytest.raises(Forbidden):
        remove_mark(viewer)
