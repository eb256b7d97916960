"""Models that need a portrait: what is refused, said before, remembered, and shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from pydantic import ValidationError
from rest_framework.test import APIClient

from assets.models import Asset
from assets.services import upload
from generation.checks import portraits_can_be_checked
from generation.models import Job
from generation.safety.portrait import check, gate
from mutoscope.accounts.models import User
from mutoscope.accounts.selectors import Access
from tests.conftest import is_problem
from tests.generation import catalogs
from tests.generation.safety.test_portrait import ASTRONAUT


@pytest.fixture(autouse=True)
def _avatar(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogs.add(monkeypatch, catalogs.like("still", slug="avatar", name="Avatar", needs_portrait=True))


@pytest.fixture
def astronaut(access: Access) -> Asset:
    return upload(access, SimpleUploadedFile("astronaut.png", ASTRONAUT.read_bytes(), "image/png"))


@pytest.fixture
def alices(alice: User, access: Access) -> Client:
    client = Client()
    client.force_login(alice)
    return client


def ask(api: APIClient, picture: Asset, path: str = "/api/v1/jobs") -> Any:
    return api.post(path, {"model": "avatar", "picture": str(picture.pk)}, format="json")


def test_a_picture_without_a_face_is_refused_before_and_at_submit(api: APIClient, picture: Asset) -> None:
    for path in ("/api/v1/jobs/estimate", "/api/v1/jobs"):
        problem = is_problem(ask(api, picture, path), 422, "not_a_portrait")
        assert {reason["code"] for reason in problem["reasons"]} == {"picture_too_small", "no_face"}
        assert problem["errors"][0]["field"] == "picture"
        assert "at least 256 × 256 pixels, but is 96 × 72" in problem["detail"]
    assert not Job.objects.exists()


def test_advice_refuses_nothing(api: APIClient, astronaut: Asset) -> None:
    assert ask(api, astronaut).status_code == 201
    astronaut.refresh_from_db()
    assert astronaut.portrait
    assert [reason["code"] for reason in astronaut.portrait["reasons"]] == ["face_small"]


def test_other_models_and_text_need_no_portrait(api: APIClient, picture: Asset) -> None:
    wish = {"model": "still", "picture": str(picture.pk)}
    assert api.post("/api/v1/jobs", wish, format="json").status_code == 201
    assert api.post("/api/v1/jobs", {"model": "avatar", "mode": "t2v"}, format="json").status_code == 201
    picture.refresh_from_db()
    assert picture.portrait is None


def test_models_tell_it(api: APIClient) -> None:
    needs = {model["slug"]: model["needs_portrait"] for model in api.get("/api/v1/models").json()}
    assert needs["avatar"]
    assert not needs["still"]


def test_the_api_tells_what_was_found_and_looks_once(
    api: APIClient, astronaut: Asset, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = api.post(f"/api/v1/assets/{astronaut.pk}/portrait").json()
    assert (body["verdict"], body["figures"]["faces"]) == ("usable", 1)
    assert body["reasons"][0]["severity"] == "advise"
    looked: list[Path] = []

    def looking(path: Path) -> Any:
        looked.append(path)
        return check.judge(check.Figures(96, 72, 0))

    monkeypatch.setattr(check, "check", looking)
    assert api.post(f"/api/v1/assets/{astronaut.pk}/portrait").json() == body
    assert not looked
    monkeypatch.setattr(gate, "CHECKER", "another")
    assert api.post(f"/api/v1/assets/{astronaut.pk}/portrait").json()["verdict"] == "refused"
    assert len(looked) == 1


def test_whose_picture_and_which(
    api: APIClient, strangers_api: APIClient, api_with: Any, access: Access, astronaut: Asset
) -> None:
    path = f"/api/v1/assets/{astronaut.pk}/portrait"
    is_problem(strangers_api.post(path), 404, "not_found")
    is_problem(api_with("assets:read").post(path), 403, "scope_missing")
    clip = Asset.objects.create(
        workspace=access.workspace, kind="video", origin="generated", name="clip.mp4", media_type="video/mp4",
        uploaded_type="video/mp4", size_bytes=9, sha256="0", width=64, height=64, seconds=2, file="clip.mp4",
    )  # fmt: skip
    is_problem(api.post(f"/api/v1/assets/{clip.pk}/portrait"), 400, "not_a_picture")


def test_without_its_models(api: APIClient, astronaut: Asset, settings: Any, tmp_path: Path) -> None:
    from generation.safety.portrait import networks  # noqa: PLC0415

    assert not portraits_can_be_checked()
    settings.PORTRAIT_MODELS = str(tmp_path)
    networks._network.cache_clear()
    is_problem(ask(api, astronaut), 503, "portrait_unavailable")
    [error] = portraits_can_be_checked()
    assert "make setup-portrait" in error.msg


def test_the_create_page_says_it_beside_the_picture(alices: Client, picture: Asset, astronaut: Asset) -> None:
    path = reverse("dashboard:needed_portrait")
    asked = {"model": "avatar", "mode": "i2v"}
    assert 'id="portrait"' in alices.get(reverse("dashboard:create")).content.decode()
    refused = alices.get(path, {**asked, "picture": str(picture.pk)}).content.decode()
    assert "It will not do as a portrait." in refused
    assert "There must be one face in the picture, but none was found." in refused
    usable = alices.get(path, {**asked, "picture": str(astronaut.pk)}).content.decode()
    assert "but a better one gives a better clip" in usable
    for other in ({"model": "still"}, {"mode": "t2v"}, {"model": "none"}, {"picture": ""}):
        html = alices.get(path, {**asked, "picture": str(picture.pk), **other}).content.decode()
        assert not html.strip()
    assert "no asset" in alices.get(path, {**asked, "picture": str(picture.workspace_id)}).content.decode().lower()


def test_a_form_that_is_sent_all_the_same_is_refused_in_place(alices: Client, picture: Asset) -> None:
    answer = alices.post(reverse("dashboard:create"), {"model": "avatar", "mode": "i2v", "picture": picture.pk})
    assert answer.status_code == 422
    assert "Avatar needs a portrait: " in answer.content.decode()


def test_the_library_checks_any_picture(alices: Client, astronaut: Asset, picture: Asset) -> None:
    assert "Check as portrait" in alices.get(reverse("dashboard:library")).content.decode()
    path = reverse("dashboard:check_portrait", args=[astronaut.pk])
    fragment = alices.post(path, headers={"HX-Request": "true"}).content.decode()
    assert "The face had better be at least 128 pixels high" in fragment
    page = alices.post(reverse("dashboard:check_portrait", args=[picture.pk]), follow=True).content.decode()
    assert "It will not do as a portrait." in page


def test_a_model_without_pictures_needs_none() -> None:
    with pytest.raises(ValidationError, match="takes no picture"):
        catalogs.like("still", modes=["t2v"], needs_portrait=True)
