"""The operators' admin: every page renders, searches, and costs the same however many rows there are."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

import mutoscope.urls  # noqa: F401  it registers the admin's models
from assets.models import Asset, Rendition
from assets.services import upload
from billing.models import Customer, Payment, Plan, PlanOverride, ProviderEvent
from billing.services import subscribe
from generation import attempts
from generation.models import Worker
from generation.outputs.quality import verdict_on
from generation.outputs.quality.check import Check
from generation.scheduling.lanes import Lane
from generation.worker.identity import of_this_process
from generation.worker.report import Reporter
from mutoscope.accounts.models import ApiKey, User
from mutoscope.accounts.selectors import access_by_session
from mutoscope.accounts.services import create_api_key, create_workspace
from tests.conftest import picture_file
from tests.generation.samples import finishing, submit, unsaved_clip

MODELS = sorted(
    (model for model in admin.site._registry if not model._meta.app_label.startswith("django")),
    key=lambda model: model._meta.label,
)
OF_MODEL = pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("op@example.org", "correct horse battery"))
    return client


def address(model: type[Model], page: str, *arguments: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=arguments)


def populate(number: int) -> None:
    """A person with a workspace, a plan, a key, a picture, and jobs with attempts and events."""
    person = User.objects.create_user(f"person{number}@example.org", name=f"Person {number}")
    workspace = create_workspace(person, f"Workspace {number}")
    plan = Plan.objects.create(slug=f"plan{number}", name=f"Plan {number}", tiers=["paid"], queued_jobs=9)
    subscribe(workspace, plan)
    PlanOverride.objects.create(
        workspace=workspace, limit="tiers", value=["paid"], reason="tried out", made_by=person,
        ends_at=timezone.now() + timedelta(days=number),
    )  # fmt: skip
    Customer.objects.create(workspace=workspace, provider="stripe", provider_id=f"cus_{number}")
    Payment.objects.create(
        workspace_id=workspace.pk, provider="stripe", provider_id=f"cs_{number}", kind="pack", currency="usd",
        description="500 credits", amount_cents=600, created_at=timezone.now(),
    )  # fmt: skip
    ProviderEvent.objects.create(
        provider="stripe", event_id=f"evt_{number}", kind="x", created_at=timezone.now(), payload={}
    )
    create_api_key(workspace, name="CI", scopes=["jobs:read"], created_by=person)
    access = access_by_session(person, {})
    assert access is not None
    done = finishing(access)
    clip = unsaved_clip(done)
    attempts.succeed(done, clip, Check(verdict_on(["flickers"]), {"flicker": 7.5}))
    Rendition.objects.create(asset=clip, format="webm", quality="small", state="failed", error="no space")
    job = submit(access, upload(access, picture_file()))
    worker = Reporter(of_this_process([Lane("still", "paid")], name=f"w{number}"))
    worker.working(job)
    worker.step(3, 8)
    worker.report()


@pytest.fixture
def rows(db: None) -> Callable[[int], None]:
    made = 0

    def make(count: int) -> None:
        nonlocal made
        while made < count:
            made += 1
            populate(made)

    return make


@OF_MODEL
def test_every_page_renders(operator: Client, rows: Callable[[int], None], model: Any) -> None:
    rows(2)
    assert operator.get(address(model, "changelist")).status_code == 200
    for row in model._default_manager.all():
        assert operator.get(address(model, "change", row.pk)).status_code == 200
    site = admin.site._registry[model]
    expected = 200 if site.has_add_permission(_Request(operator)) else 403
    assert operator.get(address(model, "add")).status_code == expected


class _Request:
    """As much of a request as the admin's permissions look at."""

    def __init__(self, operator: Client) -> None:
        self.user = User.objects.get(pk=operator.session["_auth_user_id"])


@pytest.mark.parametrize(
    "model", [m for m in MODELS if admin.site._registry[m].search_fields], ids=lambda model: model._meta.label
)
def test_searching_works(operator: Client, rows: Callable[[int], None], model: Any) -> None:
    rows(1)
    for words in ("Person", "workspace 1", "' OR 1=1 --", "%", str(uuid4())):
        response = operator.get(address(model, "changelist"), {"q": words})
        assert response.status_code == 200, words
    assert operator.get(address(model, "changelist"), {"q": "nowhere-to-be-found"}).context["cl"].result_count == 0


@OF_MODEL
def test_lists_cost_the_same_however_many_rows(operator: Client, rows: Callable[[int], None], model: Any) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert operator.get(address(model, "changelist")).status_code == 200
        return len(captured)

    rows(2)
    queries()  # what is looked up once for the process
    few = queries()
    rows(12)
    assert queries() == few


@OF_MODEL
def test_only_operators_get_in(alice: User, model: Any) -> None:
    for client in (Client(), Client()):
        response = client.get(address(model, "changelist"))
        assert response.status_code == 302
        assert "/login/" in response.headers["Location"]
        client.force_login(alice)
        assert client.get(address(model, "changelist")).status_code == 302


def test_the_front_page_and_its_links(operator: Client, rows: Callable[[int], None]) -> None:
    rows(1)
    page = operator.get("/admin/")
    assert page.status_code == 200
    for model in MODELS:
        assert address(model, "changelist") in page.content.decode()


def test_a_job_shows_its_attempts_and_events_and_is_not_edited(
    operator: Client, rows: Callable[[int], None]
) -> None:
    rows(1)
    job_admin = next(model for model in MODELS if model._meta.label == "generation.Job")
    job = job_admin._default_manager.get(state="succeeded")  # type: ignore[attr-defined]
    html = operator.get(address(job_admin, "change", job.pk)).content.decode()
    assert "w1" in html
    assert "finishing" in html
    assert operator.post(address(job_admin, "change", job.pk), {"state": "queued"}).status_code == 403
    assert operator.post(address(job_admin, "delete", job.pk), {"post": "yes"}).status_code == 403


def test_operators_revoke_keys(operator: Client, rows: Callable[[int], None]) -> None:
    rows(2)
    keys = list(ApiKey.objects.all())
    chosen = {"action": "revoke", "_selected_action": [str(keys[0].pk)]}
    assert operator.post(address(ApiKey, "changelist"), chosen, follow=True).status_code == 200
    assert [ApiKey.objects.get(pk=key.pk).revoked_at is not None for key in keys] == [True, False]


def test_operators_have_failed_renditions_made_after_all(operator: Client, rows: Callable[[int], None]) -> None:
    rows(2)
    failed, ready = Rendition.objects.order_by("pk")
    Rendition.objects.filter(pk=failed.pk).update(attempts=3)
    Rendition.objects.filter(pk=ready.pk).update(state="ready", file="workspaces/w/a/r.webm")
    html = operator.get(address(Rendition, "changelist"), {"state__exact": "failed"}).content.decode()
    assert ("no space" in html, str(ready.pk) in html) == (True, False)
    chosen = {"action": "make_after_all", "_selected_action": [str(failed.pk), str(ready.pk)]}
    answer = operator.post(address(Rendition, "changelist"), chosen, follow=True).content.decode()
    assert "1 wait to be made; 1 had not failed." in answer
    states = Rendition.objects.order_by("pk").values_list("state", "attempts", "error")
    assert list(states) == [("queued", 0, ""), ("ready", 0, "no space")]


def test_operators_make_users_who_can_sign_in(operator: Client) -> None:
    form = {
        "email": "Dora@example.org", "name": "Dora", "usable_password": "true",
        "password1": "correct horse battery", "password2": "correct horse battery",
        "memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0",
    }  # fmt: skip
    response = operator.post(address(User, "add"), form)
    assert response.status_code == 302, response.content.decode()[:3000]
    dora = User.objects.get_by_natural_key("dora@example.org")
    assert dora.check_password("correct horse battery")


def test_operators_drain_workers_and_take_it_back(operator: Client, rows: Callable[[int], None]) -> None:
    rows(2)
    first, second = Worker.objects.order_by("name")
    html = operator.get(address(Worker, "changelist")).content.decode()
    assert "3/8" in html
    Worker.objects.filter(pk=second.pk).update(seen_at=first.seen_at - timedelta(hours=1))
    html = operator.get(address(Worker, "changelist")).content.decode()
    assert html.count("gone") == 1

    for action, drained in (("drain", [True, False]), ("undo_drain", [False, False])):
        chosen = {"action": action, "_selected_action": [first.pk]}
        answer = operator.post(address(Worker, "changelist"), chosen, follow=True)
        assert answer.status_code == 200
        assert "1 running workers are asked" in answer.content.decode() or action == "undo_drain"
        assert [row.drain_requested_at is not None for row in Worker.objects.order_by("name")] == drained
    assert operator.post(address(Worker, "change", first.pk), {"state": "idle"}).status_code == 403


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({}, "–"),
        ({"is_signed": False, "reason": "a WebM"}, "not signed"),
        ({"is_signed": True, "issuer": "Alice Films", "is_development": False}, "Alice Films"),
        ({"is_signed": True, "issuer": "whoever", "is_development": True}, "development"),
    ],
)
def test_the_list_of_assets_says_who_signed_them(
    operator: Client, picture: Asset, told: dict[str, object], words: str
) -> None:
    Asset.objects.filter(pk=picture.pk).update(provenance=told)
    row = re.search(
        r"field-signed_by.*?</td>", operator.get(address(Asset, "changelist")).content.decode(), re.DOTALL
    )
    assert row
    assert words in row[0]


def test_operators_are_reminded_where_clips_are_signed_for_development_only(
    operator: Client, settings: Any
) -> None:
    reminder = "Clips signed for development only"
    assert reminder in operator.get(reverse("admin:index")).content.decode()
    settings.C2PA_CERTIFICATE = "/etc/mutoscope/c2pa.pem"
    assert reminder not in operator.get(reverse("admin:index")).content.decode()
