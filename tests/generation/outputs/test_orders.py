"""What a job may ask of its clip's form: checked with rule and value, kept with the job, and told."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from assets import trash
from assets.models import Asset
from assets.services import upload
from billing.errors import NotInPlan
from billing.models import Plan
from generation import services
from generation.errors import InvalidJob
from generation.models import Job
from generation.services import JobRequest
from mutoscope.accounts.selectors import Access
from tests.conftest import picture_file

JOBS, ESTIMATE = "/api/v1/jobs", "/api/v1/jobs/estimate"


def sound_file(seconds: float = 1.0) -> SimpleUploadedFile:
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(range(256)) * round(seconds * 8000 * 2 / 256))
    return SimpleUploadedFile("sound.wav", content.getvalue(), "audio/wav")


@pytest.fixture
def sound(access: Access) -> Asset:
    return upload(access, sound_file())


@pytest.fixture
def plan(access: Access) -> Callable[..., int]:
    """Changes alice's plan."""
    return lambda **columns: Plan.objects.filter(subscriptions__workspace=access.workspace).update(**columns)


def zoetrope(**wishes: Any) -> JobRequest:
    return JobRequest(**({"model": "zoetrope", "mode": "t2v"} | wishes))


def test_who_says_nothing_gets_an_mp4(access: Access) -> None:
    job = services.submit(access, zoetrope())
    assert (job.format, job.quality, job.output_fps, job.loop, job.sound) == ("mp4", "standard", None, "", None)


def test_what_is_asked_is_kept(access: Access, sound: Asset) -> None:
    wishes = {"format": "webm", "quality": "best", "output_fps": 60, "loop": "crossfade"}
    job = services.submit(access, zoetrope(**wishes, sound=sound.pk))
    job.refresh_from_db()
    assert {name: getattr(job, name) for name in wishes} == wishes
    assert job.sound == sound


@pytest.mark.parametrize(
    ("wishes", "field", "rule"),
    [
        ({"format": "avi"}, "format", r"format must be one of mp4, .*, but is 'avi'"),
        ({"quality": "9"}, "quality", r"quality must be one of small, standard, best, but is '9'"),
        ({"output_fps": 50}, "output_fps", r"output_fps must be one of 48, 60, but is '50'"),
        ({"output_fps": 60, "format": "gif"}, "output_fps", r"output_fps must be one of 48, but is '60'"),
        ({"loop": "round"}, "loop", r"loop must be one of boomerang, crossfade, but is 'round'"),
    ],
)
def test_what_cannot_be_is_refused(access: Access, wishes: dict[str, Any], field: str, rule: str) -> None:
    with pytest.raises(InvalidJob, match=rule) as caught:
        services.submit(access, zoetrope(**wishes))
    assert caught.value.field == field
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("wishes", "rule"),
    [
        ({"format": "gif"}, "GIF is silent, so sound must be left out; the formats with sound are mp4, h265"),
        ({"loop": "boomerang"}, "a boomerang is silent, so sound must be left out"),
    ],
)
def test_sound_where_there_can_be_none_is_refused(
    access: Access, sound: Asset, wishes: dict[str, Any], rule: str
) -> None:
    with pytest.raises(InvalidJob, match=rule) as caught:
        services.submit(access, zoetrope(**wishes, sound=sound.pk))
    assert caught.value.field == "sound"


def test_sound_must_be_a_sound_of_the_workspace(access: Access, picture: Asset, sound: Asset) -> None:
    with pytest.raises(InvalidJob, match=r"sound must be an audio asset, but .* is image"):
        services.submit(access, zoetrope(sound=picture.pk))
    trash.delete(access, sound.pk)
    for gone in (sound.pk, uuid4()):
        with pytest.raises(InvalidJob, match="no asset has the id") as caught:
            services.submit(access, zoetrope(sound=gone))
        assert (caught.value.field, caught.value.code) == ("sound", "sound_not_found")


def test_a_plan_says_which_formats_there_are(access: Access, plan: Callable[..., int]) -> None:
    plan(output_formats=["webm", "gif"])
    assert services.submit(access, zoetrope()).format == "webm"
    with pytest.raises(
        NotInPlan, match="the plan Studio does not have the format 'mp4'; it has webm, gif"
    ) as caught:
        services.submit(access, zoetrope(format="mp4"))
    assert (caught.value.field, caught.value.details["limit"]) == ("format", "output_formats")
    with pytest.raises(NotInPlan):
        services.estimate(access, zoetrope(format="mp4"))


def test_the_estimate_tells_what_is_delivered(api: APIClient) -> None:
    body = {
        "model": "zoetrope",
        "mode": "t2v",
        "seconds": 1,
        "format": "webm",
        "output_fps": 48,
        "loop": "boomerang",
    }
    told = api.post(ESTIMATE, body, format="json").json()
    frames = told["engine"]["frames"], told["clip"]["frames"]
    fps = told["engine"]["fps"]
    assert told["form"] == {"format": "webm", "quality": "standard", "output_fps": 48, "loop": "boomerang"}
    assert told["clip"]["fps"] == 48
    assert frames[1] == round((2 * fps - 2) * 48 / fps)
    assert told["clip"]["seconds"] == pytest.approx((2 * fps - 2) / fps, abs=0.02)


def test_the_api_takes_and_tells_it(api: APIClient, strangers_api: APIClient, sound: Asset) -> None:
    body = {"model": "zoetrope", "mode": "t2v", "format": "h265", "quality": "small", "sound": str(sound.pk)}
    answer = api.post(JOBS, body, format="json")
    assert answer.status_code == 201, answer.content
    told = api.get(f"{JOBS}/{answer.json()['id']}").json()
    assert {name: told[name] for name in body} == body
    assert (told["output_fps"], told["loop"]) == (None, "")
    refused = strangers_api.post(JOBS, body | {"tier": "free"}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (400, "sound_not_found")


def test_an_asset_tells_its_pictures(api: APIClient, access: Access) -> None:
    told = api.get(f"/api/v1/assets/{upload(access, picture_file()).pk}").json()
    assert told["thumbnail_url"].startswith("http")
    assert (told["poster_url"], told["preview_url"], told["strip_url"], told["strip_tiles"]) == (
        None,
        None,
        None,
        0,
    )
