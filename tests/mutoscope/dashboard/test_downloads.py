"""Other formats of a clip, the clip without mark, and the workspace's own mark: on the pages."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from assets.models import Asset, Rendition
from billing.models import Plan
from generation.models import Job, VisibleMark
from generation.outputs.encoding import PROFILES
from generation.outputs.renditions.making import make_next
from mutoscope.accounts.selectors import Access
from tests.generation.outputs.clips import clip_in, own_mark
from tests.generation.outputs.visible.test_drawing import logo

MARK = reverse("dashboard:mark")
HTMX = {"HX-Request": "true"}


@pytest.fixture
def clip(access: Access, job: Job, tmp_path: Path) -> Asset:
    """The clip that the job made, with the operator's mark in it."""
    clip = clip_in(access.workspace, tmp_path, marked=True)
    Job.objects.filter(pk=job.pk).update(output=clip, state="succeeded", ended_at=job.created_at)
    return clip


def at(name: str, clip: Asset) -> str:
    return reverse(f"dashboard:{name}", args=[clip.pk])


def test_the_menu_has_what_the_plan_has(alices: Client, job: Job, clip: Asset) -> None:
    page = alices.get(reverse("dashboard:job", args=[job.pk])).content.decode()
    assert at("downloads", clip) in page
    assert at("downloads", clip) in alices.get(reverse("dashboard:library")).content.decode()
    menu = alices.get(at("downloads", clip), headers=HTMX).content.decode()
    assert "<html" not in menu
    assert all(profile.name in menu for profile in PROFILES.values())
    Plan.objects.update(output_formats=["mp4", "gif"])
    menu = alices.get(at("downloads", clip), headers=HTMX).content.decode()
    assert [profile.name for profile in PROFILES.values() if profile.name in menu] == ["MP4 (H.264)", "GIF"]
    Job.objects.filter(pk=job.pk).update(frames=600 * job.fps)
    page = alices.get(at("downloads", clip)).content.decode()
    assert "Clips of 180 s at most can be had in other forms, but this one has 600 s." in page


def test_asked_for_followed_and_had(alices: Client, clip: Asset) -> None:
    wish = {"format": "gif", "quality": "small"}
    menu = alices.post(at("make_rendition", clip), wish, headers=HTMX).content.decode()
    assert "being made…" in menu
    assert 'hx-trigger="every 1500ms"' in menu
    make_next()
    menu = alices.get(at("downloads", clip), headers=HTMX).content.decode()
    assert "every 1500ms" not in menu
    assert quote(Rendition.objects.get().file_name) in menu
    plain = alices.post(at("make_rendition", clip), wish)
    assert (plain.status_code, plain["Location"]) == (302, at("downloads", clip))


def test_what_failed_says_why_and_can_be_tried_again(alices: Client, clip: Asset) -> None:
    Rendition.objects.create(asset=clip, format="gif", quality="small", state="failed", error="the disk was full")
    menu = alices.get(at("downloads", clip), headers=HTMX).content.decode()
    assert "The disk was full" in menu
    assert "failed, try again" in menu
    alices.post(at("make_rendition", clip), {"format": "gif", "quality": "small"}, headers=HTMX)
    assert Rendition.objects.get().state == "queued"


def test_refusals_are_sentences(alices: Client, clip: Asset, picture: Asset) -> None:
    answer = alices.post(at("make_rendition", clip), {"format": "avi", "quality": "small"}, headers=HTMX)
    assert answer.status_code == 400
    assert "format must be one of" in answer.content.decode()
    assert alices.get(at("downloads", picture), headers=HTMX).status_code == 400


def test_it_is_the_workspaces_own(bobs: Client, charlies: Client, clip: Asset) -> None:
    assert charlies.get(at("downloads", clip)).status_code == 404
    assert charlies.post(at("make_rendition", clip), {"format": "gif"}).status_code == 404
    assert charlies.post(at("reissue", clip)).status_code == 404
    html = bobs.get(at("downloads", clip)).content.decode()
    assert '<button class="download' not in html  # a viewer looks
    assert "Get the clip without mark" not in html
    assert bobs.post(at("make_rendition", clip), {"format": "gif"}).status_code == 403
    assert bobs.post(at("reissue", clip)).status_code == 403


def test_the_clip_without_mark(alices: Client, job: Job, clip: Asset) -> None:
    page = reverse("dashboard:job", args=[job.pk])
    assert "Get the clip without mark" in alices.get(page).content.decode()
    Plan.objects.update(watermark=True)
    html = alices.get(page).content.decode()
    assert "Get the clip without mark" not in html
    assert "This clip carries a visible mark." in html
    Plan.objects.update(watermark=False)
    told = alices.post(at("reissue", clip), headers=HTMX).content.decode()
    assert "being made without the mark" in told
    assert "every 1500ms" in told
    make_next()
    assert alices.get(at("reissue", clip), headers=HTMX)["HX-Refresh"] == "true"
    assert "visible mark" not in alices.get(page).content.decode()


def test_a_mark_is_made_seen_and_removed(alices: Client, access: Access) -> None:
    assert "Type a text or choose a picture" in alices.get(MARK).content.decode()
    wish = {"is_on": "on", "text": "Alice & Co", "position": "top_left", "size": "30", "opacity": "80"}
    seen = alices.post(reverse("dashboard:preview_mark"), wish, headers=HTMX).content.decode()
    assert "data:image/png;base64," in seen
    assert not VisibleMark.objects.filter(workspace=access.workspace).exists()
    assert alices.post(reverse("dashboard:save_mark"), wish)["Location"] == MARK
    mark = VisibleMark.objects.get(workspace=access.workspace)
    assert (mark.text, mark.position, mark.size, mark.opacity) == ("Alice & Co", "top_left", 0.3, 0.8)
    png = SimpleUploadedFile("logo.png", logo("red"), "image/png")
    alices.post(reverse("dashboard:save_mark"), {**wish, "picture": png})
    html = alices.get(MARK).content.decode()
    assert "There is one" in html
    assert 'value="top_left" checked' in html
    alices.post(reverse("dashboard:remove_mark"))
    assert not VisibleMark.objects.filter(workspace=access.workspace).exists()


def test_what_is_wrong_with_a_mark_is_said_at_its_field(alices: Client) -> None:
    wish = {"text": "東京", "position": "top_left", "size": "30", "opacity": "80"}
    answer = alices.post(reverse("dashboard:save_mark"), wish)
    assert answer.status_code == 422
    assert 'id="id_text_error"' in answer.content.decode()
    assert "no sign for 東 京" in answer.content.decode()
    seen = alices.post(reverse("dashboard:preview_mark"), wish, headers=HTMX).content.decode()
    assert "o sign for 東 京" in seen
    wrong = {**wish, "text": "", "picture": BytesIO(b"nothing")}
    assert 'id="id_picture_error"' in alices.post(reverse("dashboard:save_mark"), wrong).content.decode()
    assert alices.post(reverse("dashboard:save_mark"), {**wish, "size": "wide"}).status_code == 422


def test_the_mark_is_for_managers(bobs: Client, charlies: Client, access: Access) -> None:
    own_mark(access.workspace)
    assert bobs.get(MARK).status_code == 403
    for name in ("save_mark", "preview_mark", "remove_mark"):
        assert bobs.post(reverse(f"dashboard:{name}"), {}).status_code == 403
    assert "Alice" not in charlies.get(MARK).content.decode()
