"""/api/v1/assets: uploads that are kept whole, refusals that leave no trace, deletion that removes the files."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image
from rest_framework.test import APIClient

from assets import services
from assets.models import Asset
from mutoscope.accounts.models import User
from mutoscope.accounts.selectors import Access
from tests.assets.samples import encoded, photograph, quarters
from tests.conftest import is_problem, picture_file

ASSETS = "/api/v1/assets"


def stored(settings: Any) -> set[str]:
    folder = Path(settings.MEDIA_ROOT)
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def post(api: APIClient, content: bytes, name: str = "photo.jpg") -> Any:
    return api.post(ASSETS, {"file": SimpleUploadedFile(name, content, "image/jpeg")})


def test_a_picture_is_kept_and_told(api: APIClient, settings: Any) -> None:
    response = post(api, photograph("JPEG", (320, 240)), "Café au lait.jpg")
    assert response.status_code == 201, response.content
    body = response.json()
    asset = Asset.objects.get(pk=body["id"])
    told = {key: body[key] for key in ("kind", "origin", "name", "uploaded_type", "width", "height", "seconds")}
    assert told == {
        "kind": "image", "origin": "uploaded", "name": "Café au lait.jpg", "uploaded_type": "image/jpeg",
        "width": 320, "height": 240, "seconds": None,
    }  # fmt: skip
    assert stored(settings) == {asset.file.name, asset.thumbnail.name}
    assert asset.size_bytes == body["size_bytes"] == Path(asset.file.path).stat().st_size
    assert body["url"]
    assert body["thumbnail_url"]
    assert api.get(f"{ASSETS}/{asset.pk}").json()["sha256"] == asset.sha256


def test_an_upload_through_a_key_has_no_person(api: APIClient) -> None:
    post(api, photograph("PNG"))
    assert Asset.objects.get().created_by is None


def test_a_clips_provenance_is_told(api: APIClient, picture: Asset) -> None:
    where = f"{ASSETS}/{picture.pk}"
    assert api.get(where).json()["provenance"] is None  # of what was uploaded nothing is claimed
    told = {"is_signed": True, "issuer": "Alice Films", "source_type": "trainedAlgorithmicMedia", "model": "LTX"}
    Asset.objects.filter(pk=picture.pk).update(provenance=told)
    assert api.get(where).json()["provenance"] == told


def truncated() -> bytes:
    whole = photograph("JPEG", (320, 240))
    return whole[: len(whole) // 2]


def animated() -> bytes:
    frames = [quarters(), quarters().rotate(90, expand=False)]
    return encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=100)


@pytest.mark.parametrize(
    ("make", "status", "code"),
    [
        (lambda: b"", 400, "empty"),
        (lambda: b"just some text, no picture at all\n" * 9, 415, "type_mismatch"),
        (lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', 415, "type_mismatch"),
        (truncated, 400, "truncated"),
        (animated, 400, "animated"),
        (lambda: encoded(Image.new("RGB", (63, 200)), "PNG"), 400, "too_small"),
    ],
    ids=["empty", "text", "svg", "truncated", "animated", "tiny"],
)
def test_what_is_refused_leaves_no_trace(
    api: APIClient, settings: Any, make: Callable[[], bytes], status: int, code: str
) -> None:
    response = post(api, make())
    problem = is_problem(response, status, response.json()["code"])
    assert problem["code"] in {code, "unsupported_type"} if status == 415 else problem["code"] == code
    assert problem["errors"][0]["field"] == "file"
    assert not Asset.objects.exists()
    assert not stored(settings)


def test_too_many_bytes_or_pixels_leave_no_trace(api: APIClient, settings: Any) -> None:
    settings.PICTURE_MAX_PIXELS = 1000
    is_problem(post(api, photograph("JPEG")), 400, "too_many_pixels")
    settings.PICTURE_MAX_BYTES = 1000
    is_problem(post(api, photograph("JPEG")), 413, "too_large")
    assert not Asset.objects.exists()
    assert not stored(settings)


def test_a_row_that_cannot_be_written_leaves_no_files(
    access: Access, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise RuntimeError("the database is away")

    monkeypatch.setattr(Asset, "save", fail)
    with pytest.raises(RuntimeError):
        services.upload(access, picture_file())
    assert not stored(settings)


def test_a_very_long_name_keeps_its_end(api: APIClient) -> None:
    body = post(api, photograph("PNG"), "x" * 300 + ".png").json()
    assert len(body["name"]) <= 255
    assert body["name"].endswith(".png")


def test_names_cannot_choose_where_a_file_is_kept(api: APIClient, settings: Any) -> None:
    assert post(api, photograph("PNG"), "../../../evil.png").status_code == 201
    asset = Asset.objects.get()
    assert asset.file.name == f"workspaces/{asset.workspace_id}/{asset.pk}/asset.png"
    assert stored(settings) == {asset.file.name, asset.thumbnail.name}


def test_the_library_is_the_workspaces_own(
    api: APIClient, strangers_api: APIClient, picture: Asset, charlie: User
) -> None:
    foreign = strangers_api.post(ASSETS, {"file": picture_file()}).json()
    assert [asset["id"] for asset in api.get(ASSETS).json()["results"]] == [str(picture.pk)]
    assert [asset["id"] for asset in strangers_api.get(ASSETS).json()["results"]] == [foreign["id"]]


def test_the_library_is_filtered_by_kind_and_origin(api: APIClient, picture: Asset) -> None:
    def found(query: str) -> int:
        return len(api.get(f"{ASSETS}?{query}").json()["results"])

    assert (found("kind=image"), found("kind=video"), found("origin=uploaded"), found("origin=generated")) == (
        1,
        0,
        1,
        0,
    )
    problem = is_problem(api.get(f"{ASSETS}?kind=sculpture"), 400, "invalid")
    assert problem["errors"][0]["field"] == "kind"


def test_deleting_puts_it_into_the_trash(api: APIClient, picture: Asset, settings: Any) -> None:
    files = stored(settings)
    assert api.delete(f"{ASSETS}/{picture.pk}").status_code == 204
    assert stored(settings) == files
    is_problem(api.get(f"{ASSETS}/{picture.pk}"), 404, "not_found")
    is_problem(api.delete(f"{ASSETS}/{picture.pk}"), 404, "not_found")
    assert api.get(ASSETS).json()["results"] == []


def test_deleting_keeps_the_history_of_jobs(api: APIClient, picture: Asset) -> None:
    job = api.post("/api/v1/jobs", {"model": "still", "picture": picture.pk}, format="json").json()
    api.delete(f"{ASSETS}/{picture.pk}")
    assert api.get(f"/api/v1/jobs/{job['id']}").json()["picture"] == str(picture.pk)
    again = api.post("/api/v1/jobs", {"model": "still", "picture": picture.pk}, format="json")
    is_problem(again, 400, "picture_not_found")


@pytest.mark.parametrize("method", ["get", "delete"])
def test_anothers_asset_is_as_good_as_none(
    strangers_api: APIClient, picture: Asset, settings: Any, method: str
) -> None:
    foreign = getattr(strangers_api, method)(f"{ASSETS}/{picture.pk}")
    missing = getattr(strangers_api, method)(f"{ASSETS}/{uuid4()}")
    is_problem(foreign, 404, "not_found")
    assert foreign.json().keys() == missing.json().keys()
    assert default_storage.exists(picture.file.name)


def test_pages_are_as_long_as_asked_up_to_a_limit(api: APIClient, access: Access) -> None:
    for _ in range(3):
        services.upload(access, picture_file())
    page = api.get(f"{ASSETS}?limit=2").json()
    assert len(page["results"]) == 2
    rest = api.get(page["next"]).json()
    assert len(rest["results"]) == 1
    assert rest["next"] is None
    ids = [asset["id"] for asset in page["results"] + rest["results"]]
    assert ids == sorted(ids, reverse=True)


def test_what_is_served_has_no_metadata(api: APIClient) -> None:
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    body = post(api, photograph("JPEG", exif=exif.tobytes())).json()
    with Asset.objects.get(pk=body["id"]).file.open("rb") as file:
        served = file.read()
    assert b"taken at home" not in served
    assert not Image.open(io.BytesIO(served)).getexif()
