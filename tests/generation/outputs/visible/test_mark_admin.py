"""The operator's mark in the admin."""

from __future__ import annotations

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from generation.models import VisibleMark
from generation.outputs.visible.editing import operators_mark
from mutoscope.accounts.models import User, Workspace
from tests.generation.outputs.clips import own_mark
from tests.generation.outputs.visible.test_drawing import logo

LIST = reverse("admin:generation_visiblemark_changelist")


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(
        User.objects.create_superuser(email="operator@example.org", password="correct horse battery")
    )
    return client


def page(mark: VisibleMark) -> str:
    return reverse("admin:generation_visiblemark_change", args=[mark.pk])


def current() -> VisibleMark:
    mark = operators_mark()
    assert mark is not None
    return mark


def fields(**more: object) -> dict[str, object]:
    usual = {"is_on": "on", "text": "Sample", "position": "top_left", "size": "0.3", "opacity": "0.5"}
    return {**usual, **more}


def test_it_is_seen_and_changed(operator: Client) -> None:
    mark = current()
    assert "Made with Mutoscope" in operator.get(LIST).content.decode()
    assert "data:image/png;base64," in operator.get(page(mark)).content.decode()
    assert operator.post(page(mark), fields(drifts="on")).status_code == 302
    mark = current()
    assert (mark.text, mark.position, mark.size, mark.drifts) == ("Sample", "top_left", 0.3, True)


def test_its_picture_is_cleaned_kept_and_removed(operator: Client) -> None:
    mark = current()
    png = SimpleUploadedFile("logo.png", logo("red"), "image/png")
    assert operator.post(page(mark), fields(picture=png)).status_code == 302
    name = current().picture.name or ""
    assert name.startswith("marks/operator/")
    assert default_storage.exists(name)
    assert operator.post(page(mark), fields(text="")).status_code == 302
    assert current().picture.name == name
    assert operator.post(page(mark), {**fields(), "picture-clear": "on"}).status_code == 302
    assert current().picture.name == ""


def test_what_is_wrong_is_said(operator: Client) -> None:
    mark = current()
    html = operator.post(page(mark), fields(text="東京")).content.decode()
    assert "the font has no sign for" in html
    html = operator.post(page(mark), fields(text="")).content.decode()
    assert "a mark needs a text or a picture" in html
    wrong = SimpleUploadedFile("logo.png", b"no picture", "image/png")
    html = operator.post(page(mark), fields(picture=wrong)).content.decode()
    assert "promises a PNG picture" in html
    assert current().text == "Made with Mutoscope"


def test_a_workspace_s_own_is_only_looked_at(operator: Client, workspace: Workspace) -> None:
    mark = own_mark(workspace)
    assert "Alice &amp; Co" in operator.get(page(mark)).content.decode()
    assert operator.post(page(mark), fields()).status_code == 403
