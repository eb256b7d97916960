"""Create: the form, its errors, and uploads."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from assets.models import Asset
from generation.models import Job
from tests.conftest import picture_file

CREATE = reverse("dashboard:create")
HTMX = {"HX-Request": "true"}


def _checked(html: str, name: str) -> str:
    """The value of the checked radio button of that name."""
    found = re.search(rf'name="{name}" value="([^"]*)" checked', html)
    return found.group(1) if found else ""


def test_starts_from_the_models_defaults(alices: Client, picture: Asset) -> None:
    html = alices.get(CREATE).content.decode()
    assert _checked(html, "model") == "preview"
    assert _checked(html, "size") == "720p-16-9"
    assert _checked(html, "fps") == "24"
    assert _checked(html, "tier") == "paid"
    assert 'name="seconds" inputmode="decimal" step="any" min="1" max="10" value="4"' in html
    assert str(picture.pk) in html


def test_a_plain_form_with_a_file_makes_a_job(alices: Client, access: object) -> None:
    answer = alices.post(
        CREATE,
        {
            "model": "still",
            "file": picture_file(),
            "prompt": "slow push in",
            "seconds": "2.5",
            "fps": "8",
            "seed": "7",
        },
    )
    job = Job.objects.select_related("picture").get()
    assert answer.status_code == 302
    assert answer["Location"] == reverse("dashboard:job", args=[job.pk])
    assert (job.model, job.prompt, job.seconds, job.seed) == ("still", "slow push in", 2.5, 7)
    assert job.picture is not None
    assert job.picture.name == "still.png"


def test_a_form_sent_twice_makes_one_job_and_a_changed_one_another(alices: Client, picture: Asset) -> None:
    fields = {"token": "t", "model": "still", "picture": str(picture.pk), "prompt": "pan left"}
    assert alices.post(CREATE, fields)["Location"] == alices.post(CREATE, fields)["Location"]
    alices.post(CREATE, {**fields, "prompt": "pan right"})
    assert Job.objects.count() == 2


def test_words_alone_need_no_picture_and_ignore_the_chosen_one(alices: Client, picture: Asset) -> None:
    alices.post(CREATE, {"model": "still", "mode": "t2v", "picture": str(picture.pk), "prompt": "a lake"})
    assert Job.objects.get().picture is None


def test_errors_are_told_word_for_word_and_keep_what_was_typed(alices: Client, picture: Asset) -> None:
    answer = alices.post(
        CREATE,
        {
            "model": "still", "picture": str(picture.pk), "prompt": "a <b>long</b> way", "seconds": "99",
            "size": "tiny", "seed": "41", "steps": "9", "fps": "8", "tier": "batch",
        },
    )  # fmt: skip
    html = answer.content.decode()
    assert answer.status_code == 422
    assert "seconds must be between 0.5 and 60, but is 99" in html
    assert 'aria-invalid="true"' in html
    assert "a &lt;b&gt;long&lt;/b&gt; way</textarea>" in html
    for value in ('value="99"', 'value="41"', 'value="9"'):
        assert value in html
    assert _checked(html, "model") == "still"
    assert _checked(html, "tier") == "batch"
    assert f'value="{picture.pk}" checked' in html
    assert not Job.objects.exists()


def test_a_file_that_came_with_a_refused_form_is_kept_and_chosen(alices: Client, access: object) -> None:
    html = alices.post(CREATE, {"model": "still", "file": picture_file(), "seconds": "99"}).content.decode()
    assert f'value="{Asset.objects.get().pk}" checked' in html


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"model": "preview"}, "the mode i2v needs a picture"),
        ({"model": "nope"}, ", but is &#x27;nope&#x27;"),
        ({"model": "still", "seconds": "soon"}, "Enter a number."),
        ({"model": "still", "picture": "x"}, "Enter a valid UUID."),
        ({"model": "still", "mode": "t2v", "tier": "gold"}, "tier must be one of paid, batch, free"),
    ],
)
def test_refusals_are_shown(alices: Client, fields: dict[str, str], sentence: str) -> None:
    answer = alices.post(CREATE, fields)
    assert answer.status_code == 422
    assert sentence in answer.content.decode()


def test_a_file_that_is_no_picture_is_refused_in_words(alices: Client) -> None:
    answer = alices.post(CREATE, {"model": "still", "file": SimpleUploadedFile("x.png", b"not a picture")})
    assert answer.status_code == 422
    assert 'id="id_file_error"' in answer.content.decode()


def test_another_model_swaps_its_options_and_keeps_what_fits(alices: Client) -> None:
    answer = alices.get(
        CREATE,
        {"model": "still", "seconds": "3", "size": "720p-16-9", "fps": "30", "tier": "free"},
        headers={**HTMX, "HX-Target": "options"},
    )
    html = answer.content.decode()
    assert "<html" not in html
    assert 'max="60" value="3"' in html
    assert (_checked(html, "size"), _checked(html, "fps"), _checked(html, "tier")) == ("tiny", "8", "free")
    assert 'name="steps"' in html
    assert 'id="prompt-hint" hx-swap-oob="true"' in html


def test_without_scripts_a_button_shows_the_options_of_another_model(alices: Client) -> None:
    answer = alices.post(CREATE, {"model": "still", "prompt": "kept", "show": "options", "size": "720p-16-9"})
    html = answer.content.decode()
    assert answer.status_code == 200
    assert _checked(html, "size") == "tiny"
    assert "kept</textarea>" in html
    assert not Job.objects.exists()


def test_another_like_this_starts_from_the_job(alices: Client, job: Job) -> None:
    html = alices.get(CREATE, {"from": str(job.pk)}).content.decode()
    assert _checked(html, "model") == "still"
    assert "the steam rises</textarea>" in html
    assert f'value="{job.picture_id}" checked' in html
    assert f"had {job.seed}." in html


def test_a_picture_from_the_library_is_chosen(alices: Client, picture: Asset) -> None:
    assert f'value="{picture.pk}" checked' in alices.get(CREATE, {"picture": str(picture.pk)}).content.decode()
    assert alices.get(CREATE, {"picture": "nonsense"}).status_code == 200
    assert alices.get(CREATE, {"picture": str(uuid4())}).status_code == 200


def test_strangers_and_viewers(alices: Client, bobs: Client, charlies: Client, job: Job) -> None:
    assert Client().get(CREATE).status_code == 302
    assert Client().get(CREATE)["Location"].startswith(reverse("account_login"))
    assert bobs.get(CREATE)["Location"] == reverse("dashboard:library")
    assert bobs.post(CREATE, {"model": "still"}).status_code == 403
    assert charlies.get(CREATE, {"from": str(job.pk)}).status_code == 404
    assert alices.get(CREATE, {"from": "nonsense"}).status_code == 404
    assert str(job.picture_id) not in charlies.get(CREATE, {"picture": str(job.picture_id)}).content.decode()
    answer = charlies.post(CREATE, {"model": "still", "picture": str(job.picture_id)})
    assert "no asset has the id" in answer.content.decode()
