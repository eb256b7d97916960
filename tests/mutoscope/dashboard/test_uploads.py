"""Files from the pages: what the script asks for on their way to the storage, and plain forms."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from assets import trash
from assets.models import Asset, Upload
from mutoscope.accounts.selectors import Access
from tests.assets.samples import photograph
from tests.conftest import picture_file
from tests.generation.samples import submit
from tests.mutoscope.dashboard.sending import HTMX, announce, outcome, put, send

UPLOAD = reverse("dashboard:upload")
PHOTO = photograph("PNG", (96, 72))


def test_a_picture_for_the_form_is_the_chosen_one(alices: Client) -> None:
    answer = send(alices, "still.png", PHOTO, "form")
    html = answer.content.decode()
    assert answer.status_code == 200
    assert 'hx-swap-oob="afterbegin:#strip"' in html
    assert f'name="picture" value="{Asset.objects.get().pk}" checked' in html
    assert "96 × 72" in html
    assert 'hx-swap-oob="afterbegin:#last-strip"' in html
    assert 'name="last_picture"' in html
    assert html.count(" checked") == 1


def test_a_file_for_the_library_is_a_card(alices: Client) -> None:
    answer = send(alices, "one.png", PHOTO)
    assert answer.status_code == 200
    assert answer.content.decode().count('class="card"') == 1


@pytest.mark.parametrize("into", ["form", "library"])
def test_a_refused_file_tells_why(alices: Client, into: str) -> None:
    answer = send(alices, "x.png", b"no picture", into)
    assert answer.status_code == 422
    assert "x.png: " in answer.content.decode()
    assert not Asset.objects.exists()


def test_a_sound_is_kept_but_cannot_be_chosen(alices: Client, access: Access) -> None:
    upload = announce(alices, "a.wav", b"x").json()
    sound = Asset.objects.create(
        workspace=access.workspace, kind="audio", origin="uploaded", name="a.wav", media_type="audio/wav",
        uploaded_type="audio/wav", size_bytes=1, sha256="0", seconds=2, file="a.wav",
    )  # fmt: skip
    Upload.objects.update(state="ready", asset=sound)
    answer = outcome(alices, upload, "form")
    assert answer.status_code == 422
    assert "a.wav is kept in the library, but it is no picture" in answer.content.decode()


def test_on_its_way(alices: Client) -> None:
    upload = announce(alices, "still.png", PHOTO).json()
    assert outcome(alices, upload, "form").status_code == 204
    complete = reverse("dashboard:complete_upload", args=[upload["id"]])
    answer = alices.post(complete, headers=HTMX)
    assert (answer.status_code, answer["Content-Type"]) == (409, "text/plain; charset=utf-8")
    assert "1 of 1 parts" in answer.content.decode()
    links = alices.post(reverse("dashboard:upload_parts", args=[upload["id"]]), headers=HTMX).json()
    assert [part["number"] for part in links["parts"]] == [1]
    put(upload, PHOTO)
    assert alices.post(complete, headers=HTMX).status_code == 202
    assert outcome(alices, upload, "form").status_code == 204
    assert alices.post(reverse("dashboard:abandon_upload", args=[upload["id"]]), headers=HTMX).status_code == 204
    answer = outcome(alices, upload, "library")
    assert answer.status_code == 422
    assert "still.png: the upload was given up" in answer.content.decode()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": "a.png", "size_bytes": "0"}, "The file is empty: it has 0 bytes."),
        ({"name": "a.png", "size_bytes": "9999999999"}, "a file may have at most 536,870,912 bytes"),
        ({"name": "a.png"}, "size_bytes: This field is required."),
    ],
)
def test_what_cannot_be_announced(alices: Client, fields: dict[str, str], sentence: str) -> None:
    answer = alices.post(reverse("dashboard:announce_upload"), fields, headers=HTMX)
    assert answer.status_code in (400, 413)
    assert sentence in answer.content.decode()
    assert not Upload.objects.exists()


def test_who_may_upload(alices: Client, bobs: Client, charlies: Client) -> None:
    upload = announce(alices, "still.png", PHOTO).json()
    assert announce(bobs, "still.png", PHOTO).status_code == 403
    assert announce(Client(), "still.png", PHOTO).headers["HX-Redirect"]
    for name in ("upload_parts", "complete_upload", "abandon_upload"):
        path = reverse(f"dashboard:{name}", args=[upload["id"]])
        assert (bobs.post(path).status_code, charlies.post(path).status_code) == (403, 404)
        assert alices.get(path).status_code == 405
    assert outcome(charlies, upload, "form").status_code == 404
    assert Upload.objects.get().state == "open"


def test_a_plain_form_goes_back_to_the_library(alices: Client, bobs: Client) -> None:
    files = [picture_file(), SimpleUploadedFile("x.png", b"no"), picture_file(name="other.png")]
    answer = alices.post(UPLOAD, {"file": files}, follow=True)
    html = answer.content.decode()
    assert answer.redirect_chain == [(reverse("dashboard:library"), 302)]
    assert "x.png: " in html
    assert "still.png" in html
    assert html.count('class="card"') == 2
    assert "choose a file first" in alices.post(UPLOAD, follow=True).content.decode()
    assert bobs.post(UPLOAD, {"file": picture_file()}).status_code == 403
    assert Client().post(UPLOAD, {"file": picture_file()}).status_code == 302
    assert alices.get(UPLOAD).status_code == 405


def test_a_page_that_was_open_for_long_is_led_on_to_fresh_links(
    alices: Client, bobs: Client, charlies: Client, picture: Asset
) -> None:
    path = reverse("dashboard:asset_file", args=[picture.pk])
    for query, ending in (("", "asset.png"), ("?as=thumbnail", "thumbnail.webp"), ("?as=download", "still.png")):
        answer = bobs.get(path + query)
        assert answer.status_code == 302
        link = urlsplit(answer["Location"]).path
        assert link.startswith("/files/")
        assert link.endswith(f"/{ending}")
        assert "no-store" in answer["Cache-Control"]
    assert charlies.get(path).status_code == 404
    assert Client().get(path)["Location"].startswith(reverse("account_login"))
    assert path in alices.get(reverse("dashboard:library")).content.decode()


def test_so_are_those_of_the_history_and_of_the_trash(
    alices: Client, bobs: Client, charlies: Client, access: Access, picture: Asset
) -> None:
    submit(access, picture)
    path = reverse("dashboard:asset_file", args=[picture.pk])
    assert f'data-renew="{path}?as=thumbnail"' in alices.get(reverse("dashboard:jobs")).content.decode()
    assert bobs.get(path + "?as=trashed").status_code == 404  # it is none
    trash.delete(access, picture.pk)
    assert f'data-renew="{path}?as=trashed"' in alices.get(reverse("dashboard:trash")).content.decode()
    assert urlsplit(bobs.get(path + "?as=trashed")["Location"]).path.endswith("/thumbnail.webp")
    assert bobs.get(path + "?as=thumbnail").status_code == 404
    assert charlies.get(path + "?as=trashed").status_code == 404
