"""The create page's newer wishes: presets, a last picture, adapters, what it comes to, models not offered."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from assets.models import Asset
from assets.services import upload
from generation import services
from generation.adapters import AdapterWish
from generation.models import Adapter, Job
from generation.services import JobRequest
from mutoscope.accounts.selectors import Access
from tests.conftest import picture_file
from tests.generation.catalogs import SOME_WEIGHTS, add, like
from tests.generation.lines import worker

CREATE = reverse("dashboard:create")
ESTIMATE = reverse("dashboard:estimate")
ZOETROPE = {"model": "zoetrope", "mode": "t2v"}
OPTIONS = {"HX-Request": "true", "HX-Target": "options"}


def checked(html: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)" checked', html)
    return found.group(1) if found else ""


@pytest.fixture
def grain(db: None) -> Adapter:
    return Adapter.objects.create(
        name="film-grain",
        summary="Super 8",
        models_allowed=["zoetrope"],
        file="g.safetensors",
        default_strength=0.8,
    )


def test_presets_are_offered_with_what_they_change(alices: Client) -> None:
    html = alices.get(CREATE, {"model": "zoetrope"}).content.decode()
    assert checked(html, "preset") == "standard"
    assert "A quarter of the steps: four times as fast, with coarser motion." in html
    assert 'name="preset"' not in alices.get(CREATE, {"model": "still"}).content.decode()


def test_the_preset_sets_the_steps_that_nobody_typed(alices: Client) -> None:
    alices.post(CREATE, {**ZOETROPE, "preset": "high", "steps": "", "guidance": ""})
    alices.post(CREATE, {**ZOETROPE, "preset": "high", "steps": "5", "guidance": ""})
    assert list(Job.objects.order_by("id").values_list("preset", "steps")) == [("high", 16), ("high", 5)]


def test_another_model_keeps_the_preset_where_it_has_it(alices: Client) -> None:
    html = alices.get(CREATE, {"model": "zoetrope", "preset": "high"}, headers=OPTIONS).content.decode()
    assert checked(html, "preset") == "high"
    html = alices.get(CREATE, {"model": "still", "preset": "high"}, headers=OPTIONS).content.decode()
    assert 'name="preset"' not in html


def test_a_clip_from_one_picture_to_another(alices: Client, access: Access, picture: Asset) -> None:
    last = upload(access, picture_file(80, 80, name="last.png"))
    fields = {"model": "zoetrope", "mode": "flf2v", "picture": str(picture.pk), "last_picture": str(last.pk)}
    alices.post(CREATE, fields)
    job = Job.objects.get()
    assert (job.picture, job.last_picture) == (picture, last)
    html = alices.get(CREATE, {"from": str(job.pk)}).content.decode()
    assert (checked(html, "picture"), checked(html, "last_picture")) == (str(picture.pk), str(last.pk))
    alices.post(CREATE, {**fields, "mode": "i2v"})
    assert Job.objects.order_by("id").last().last_picture is None  # type: ignore[union-attr]


def test_a_missing_last_picture_is_told_at_its_place(alices: Client, picture: Asset) -> None:
    answer = alices.post(CREATE, {"model": "zoetrope", "mode": "flf2v", "picture": str(picture.pk)})
    assert answer.status_code == 422
    assert 'id="id_last_picture_error"' in answer.content.decode()


def test_adapters_are_chosen_with_their_strength(alices: Client, grain: Adapter) -> None:
    html = alices.get(CREATE, {"model": "zoetrope"}).content.decode()
    assert 'name="adapters" value="film-grain"' in html
    assert 'name="strength-film-grain"' in html
    assert 'value="0.8"' in html
    alices.post(CREATE, {**ZOETROPE, "adapters": "film-grain", "strength-film-grain": "0.4"})
    assert Job.objects.get().adapters == [{"name": "film-grain", "strength": 0.4}]
    html = alices.get(CREATE, {"from": str(Job.objects.get().pk)}).content.decode()
    assert checked(html, "adapters") == "film-grain"
    assert 'value="0.4"' in html
    assert 'name="adapters"' not in alices.get(CREATE, {"model": "still"}).content.decode()


@pytest.mark.parametrize(
    ("strength", "rule"),
    [("9", "must be between 0 and 1.5, but is 9"), ("much", "must be a number, but is &#x27;much&#x27;")],
)
def test_a_wrong_strength_is_told_and_kept(alices: Client, grain: Adapter, strength: str, rule: str) -> None:
    answer = alices.post(CREATE, {**ZOETROPE, "adapters": "film-grain", "strength-film-grain": strength})
    html = answer.content.decode()
    assert answer.status_code == 422
    assert f"the strength of film-grain {rule}" in html
    assert checked(html, "adapters") == "film-grain"
    assert f'value="{strength}"' in html


def test_what_it_comes_to_is_told_with_the_page_and_after_each_change(alices: Client) -> None:
    html = alices.get(CREATE, ZOETROPE).content.decode()
    assert "The engine makes 96 × 96 × 9 frames; you get 96 × 72, 1 s." in html
    assert "3 credits" in html
    html = alices.post(ESTIMATE, {**ZOETROPE, "seconds": "2", "preset": "draft"}).content.decode()
    assert "<html" not in html
    assert "The engine makes 96 × 96 × 17 frames; you get 96 × 72, 2 s." in html
    assert "Takes the engine about 5 s, once it begins. No worker serves this model just now" in html
    worker()
    html = alices.post(ESTIMATE, {"model": "still", "mode": "t2v"}).content.decode()
    assert "You get 64 × 64, 1 s: 8 frames, just as the engine makes them." in html
    assert "Done in about 5 s" in html
    assert "Next in line" in html
    assert "Free" in html
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"mode": "i2v"}, "Choose a picture, and you are told"),
        ({"mode": "t2v", "seconds": "99"}, "seconds must be between 0.5 and 5, but is 99"),
        ({"mode": "t2v", "seconds": "soon"}, ""),
    ],
)
def test_why_it_cannot_be_told(alices: Client, fields: dict[str, str], sentence: str) -> None:
    answer = alices.post(ESTIMATE, {"model": "zoetrope", **fields})
    assert answer.status_code == 200
    assert sentence in answer.content.decode()
    assert bool(answer.content.strip()) == bool(sentence)


def test_who_may_not_create_is_told_nothing(bobs: Client, alices: Client) -> None:
    assert bobs.post(ESTIMATE, ZOETROPE).status_code == 403
    assert Client().post(ESTIMATE, ZOETROPE).status_code == 302
    assert alices.get(ESTIMATE).status_code == 405


def test_models_that_are_not_offered_come_last_with_the_reason(
    alices: Client, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    add(
        monkeypatch,
        *(like("still", slug=slug, name=slug.title(), weights=SOME_WEIGHTS) for slug in ("aura", "wan")),
    )
    html = alices.get(CREATE, {"model": "wan"}).content.decode()
    slugs = re.findall(r'name="model" value="([^"]*)"', html)
    assert slugs[:3] == ["preview", "still", "zoetrope"]
    others = slugs[3:]
    assert others.index("aura") < others.index("wan")
    assert checked(html, "model") == "preview"
    assert 'value="wan" disabled' in html
    assert "No worker here serves Wan yet." in html
    assert f"Not available here: {len(others)}" in html
    answer = alices.post(CREATE, {"model": "wan", "mode": "t2v"})
    assert answer.status_code == 422
    assert 'id="id_model_error"' in answer.content.decode()
    settings.OFFERED_MODELS = ["wan"]
    html = alices.get(CREATE).content.decode()
    assert f"Not available here: {len(others) - 1}" in html
    assert 'value="wan" disabled' not in html


def test_real_diffusion_is_what_the_page_begins_with(
    alices: Client, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    memory = [{"size": "tiny", "plan": "full", "precision": "bf16", "gib": 1}]
    real = like(
        "zoetrope",
        slug="wan",
        name="Wan",
        weights=SOME_WEIGHTS,
        diffusion=True,
        memory=memory,
        memory_plans=["full"],
    )
    add(monkeypatch, real)
    assert checked(alices.get(CREATE).content.decode(), "model") == "preview"
    settings.OFFERED_MODELS = ["wan"]
    assert checked(alices.get(CREATE).content.decode(), "model") == "wan"


def test_words_typed_for_another_model_do_not_hinder_one_that_reads_none(
    alices: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(monkeypatch, like("still", slug="mute", name="Mute", prompt={"use": "ignored"}))
    html = alices.get(CREATE, {"model": "mute"}).content.decode()
    assert 'value="mute" checked data-words="ignored"' in html
    assert "Mute does not read prompts." in html
    assert 'name="negative_prompt"' not in html
    alices.post(CREATE, {"model": "mute", "mode": "t2v", "prompt": "a lake"})
    assert Job.objects.get().prompt == ""


def test_the_jobs_page_tells_what_it_is_made_with(
    alices: Client, access: Access, picture: Asset, grain: Adapter
) -> None:
    wishes = JobRequest(
        model="zoetrope", mode="flf2v", picture=picture.pk, last_picture=picture.pk, preset="draft",
        adapters=(AdapterWish("film-grain"),),
    )  # fmt: skip
    job = services.submit(access, wishes)
    html = alices.get(reverse("dashboard:job", args=[job.pk])).content.decode()
    for fact in (
        "<dd>Draft</dd>", "<dd>96 × 96 × 9 frames</dd>", "<dd>film-grain, strength 0.8</dd>", "<dt>Ends on</dt>",
    ):  # fmt: skip
        assert fact in html
    assert "Recipe" not in html
    Job.objects.filter(pk=job.pk).update(
        recipe={"versions": {"torch": "2.13.0"}, "step_cache": "strong", "x": None}
    )
    html = alices.get(reverse("dashboard:job", args=[job.pk])).content.decode()
    assert "<dt>Versions · torch</dt><dd>2.13.0</dd>" in html
    assert "<dt>Step cache</dt><dd>strong</dd>" in html


def test_the_page_asks_the_same_however_many_models_there_are(
    alices: Client, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    def queries() -> int:
        with django_assert_num_queries(30, exact=False) as counted:
            alices.get(CREATE, ZOETROPE)
        return len(counted)

    add(monkeypatch, like("still", slug="wan", name="Wan", weights=SOME_WEIGHTS))
    few = queries()
    add(monkeypatch, *(like("wan", slug=f"wan-{number}") for number in range(12)))
    assert queries() == few


def test_presets_say_what_they_multiply_the_price_by(alices: Client) -> None:
    html = alices.get(CREATE, {"model": "zoetrope"}).content.decode()
    assert "0.25 × the price" in html
    assert "2 × the price" in html
    assert "1 × the price" not in html
