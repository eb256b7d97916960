"""Who made a file: what the command, the API and the pages tell, and to whom."""

from __future__ import annotations

from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.core.files.base import File
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from PIL import Image
from rest_framework.test import APIClient

from assets.models import Asset
from generation import attempts, verification
from generation.models import Job
from generation.models.jobs import last_mark
from generation.outputs.watermark.keys import current_key
from generation.outputs.watermark.reading import read_picture
from mutoscope.accounts.models import User
from mutoscope.accounts.selectors import Access
from tests.conftest import is_problem, picture_file
from tests.generation.outputs.watermark.clips import clip, frames, marked
from tests.generation.samples import finishing, unsaved_clip

VERIFY = "/api/v1/verify"


@pytest.fixture
def job(access: Access) -> Job:
    job = finishing(access)
    attempts.succeed(job, unsaved_clip(job))
    job.refresh_from_db()
    return job


@pytest.fixture
def made(job: Job, tmp_path: Path) -> Path:
    """A clip with the job's mark."""
    return clip(tmp_path / "made.mp4", marked(frames(count=2), job.mark, current_key()))


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return clip(tmp_path / "plain.mp4", frames(count=2))


def upload(path: Path) -> SimpleUploadedFile:
    return SimpleUploadedFile(path.name, path.read_bytes())


def asked(api: APIClient, path: Path) -> dict[str, Any]:
    response = api.post(VERIFY, {"file": upload(path)}, format="multipart")
    assert response.status_code == 200, response.content
    return dict(response.json())


def read(*arguments: object) -> str:
    out = StringIO()
    call_command("watermark", "read", *map(str, arguments), stdout=out)
    return out.getvalue()


def test_the_command_tells_the_job(made: Path, job: Job) -> None:
    told = read(made)
    for words in (str(job.pk), str(job.mark), "Alice & Co", job.model, "standard deviations"):
        assert words in told


def test_the_command_finds_nothing(plain: Path, tmp_path: Path, db: None) -> None:
    with pytest.raises(CommandError, match=r"plain.mp4 carries no mark"):
        read(plain)
    with pytest.raises(CommandError, match="there is no file"):
        read(tmp_path / "missing.mp4")
    (page := tmp_path / "page.mp4").write_text("<html>")
    with pytest.raises(CommandError, match="cannot be read as a picture"):
        read(page)


def test_a_job_that_is_gone(made: Path, job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(mark=job.mark + 10**9)
    assert "not in the database any more" in read(made)


def test_a_worn_picture_is_known_among_the_marks_that_were_given_out(job: Job, tmp_path: Path) -> None:
    """In so much noise that a mark which nobody knows could not be read."""
    assert last_mark() >= job.mark
    *_, frame = marked(frames(), job.mark, current_key())
    grain = np.random.default_rng(1).normal(size=(*frame.shape[:2], 1))
    path = tmp_path / "shot.png"
    for level in np.geomspace(15, 60, 20):
        Image.fromarray(np.clip(frame + level * grain, 0, 255).astype(np.uint8)).save(path)
        if read_picture(path, keys=[current_key()]) is None:
            break
    origin = verification.origin_of(path)
    assert origin is not None
    assert origin.job == job


def test_its_own_workspace_learns_the_job(api: APIClient, made: Path, job: Job) -> None:
    told = asked(api, made)
    assert (told["made_here"], told["job"], told["model"]) == (True, str(job.pk), job.model)
    assert told["made_at"]
    assert told["strength"] > 12


def test_others_learn_that_it_was_made_here_and_when(strangers_api: APIClient, made: Path, job: Job) -> None:
    told = asked(strangers_api, made)
    assert (told["made_here"], told["job"], told["model"]) == (True, None, None)
    assert told["made_at"]


def test_what_was_not_made_here(api: APIClient, plain: Path) -> None:
    nothing = {"made_here": False, "made_at": None, "job": None, "model": None, "strength": None}
    assert asked(api, plain) == nothing


def test_an_asset_of_the_library(api: APIClient, strangers_api: APIClient, made: Path, job: Job) -> None:
    asset = job.output
    assert asset is not None
    with made.open("rb") as file:
        asset.file.save("clip.mp4", File(file))
    asset.size_bytes = made.stat().st_size
    asset.save()
    told = api.post(VERIFY, {"asset": asset.pk}, format="json").json()
    assert told["job"] == str(job.pk)
    is_problem(strangers_api.post(VERIFY, {"asset": asset.pk}, format="json"), 404, "not_found")
    is_problem(api.post(VERIFY, {"asset": uuid4()}, format="json"), 404, "not_found")


@pytest.mark.parametrize("name", ["page.html", "clip.mp4"])
def test_what_is_no_medium(api: APIClient, name: str) -> None:
    file = SimpleUploadedFile(name, b"<html><body>no clip</body></html>")
    response = api.post(VERIFY, {"file": file}, format="multipart")
    assert response.status_code == 415


def test_a_damaged_clip(api: APIClient, made: Path) -> None:
    file = SimpleUploadedFile("cut.mp4", made.read_bytes()[:400])
    response = api.post(VERIFY, {"file": file}, format="multipart")
    is_problem(response, 400, "truncated")


def test_one_of_file_and_asset(api: APIClient, picture: Asset) -> None:
    is_problem(api.post(VERIFY, {}, format="json"), 400, "invalid")
    both = {"file": picture_file(), "asset": str(picture.pk)}
    is_problem(api.post(VERIFY, both, format="multipart"), 400, "invalid")


def test_files_that_are_too_large(api: APIClient, settings: Any) -> None:
    settings.VERIFY_MAX_BYTES = 10
    is_problem(api.post(VERIFY, {"file": picture_file()}, format="multipart"), 413, "too_large")


def test_asking_too_often(api: APIClient, strangers_api: APIClient, settings: Any) -> None:
    settings.VERIFICATIONS_PER_MINUTE = 0
    response = api.post(VERIFY, {"file": picture_file()}, format="multipart")
    is_problem(response, 429, "too_many_verifications")
    assert response["Retry-After"] == "60"


def test_more_at_once_than_a_process_reads(api: APIClient) -> None:
    with verification._a_place(), verification._a_place():
        response = api.post(VERIFY, {"file": picture_file()}, format="multipart")
    is_problem(response, 503, "busy")
    assert api.post(VERIFY, {"file": picture_file()}, format="multipart").status_code == 200


def test_it_needs_a_scope(api_with: Any) -> None:
    is_problem(api_with("jobs:read").post(VERIFY, {"file": picture_file()}), 403, "scope_missing")


def test_nothing_is_left_behind(
    api: APIClient, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (scratch := tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    asked(api, made)
    cut = SimpleUploadedFile("cut.mp4", made.read_bytes()[:400])
    api.post(VERIFY, {"file": cut}, format="multipart")
    assert list(scratch.iterdir()) == []
    assert Asset.objects.filter(origin="uploaded").count() == 0


@pytest.fixture
def alices(access: Access) -> Client:
    client = Client()
    assert access.user
    client.force_login(access.user)
    return client


def test_the_page_answers(alices: Client, made: Path, plain: Path, job: Job) -> None:
    page = reverse("dashboard:verify")
    assert "Drop a clip" in alices.get(page).content.decode()
    told = alices.post(page, {"file": upload(made)}).content.decode()
    assert reverse("dashboard:job", args=[job.pk]) in told
    fragment = alices.post(page, {"file": upload(plain)}, headers={"HX-Request": "true"})
    assert "No mark of this installation was found" in fragment.content.decode()
    assert "<html" not in fragment.content.decode()
    refused = alices.post(page, {"file": BytesIO(b"nothing")}, headers={"HX-Request": "true"})
    assert refused.status_code == 422
    assert alices.post(page).status_code == 422


def test_the_page_is_in_the_account_menu(alices: Client) -> None:
    assert reverse("dashboard:verify") in alices.get(reverse("dashboard:library")).content.decode()


def test_the_operators_page(made: Path, plain: Path, job: Job, alices: Client) -> None:
    page = reverse("admin-verify")
    assert alices.get(page).status_code == 302
    operators = Client()
    operators.force_login(User.objects.create_superuser("op@example.org", "correct horse battery"))
    assert page in operators.get("/admin/").content.decode()
    assert "Verify" in operators.get(page).content.decode()
    told = operators.post(page, {"file": upload(made)}).content.decode()
    assert reverse("admin:generation_job_change", args=[job.pk]) in told
    assert "No mark" in operators.post(page, {"file": upload(plain)}).content.decode()
    assert (
        "cannot be read" in operators.post(page, {"file": BytesIO(b"\x89PNG\r\n\x1a\nnothing")}).content.decode()
    )
