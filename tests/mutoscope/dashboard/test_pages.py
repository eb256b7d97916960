"""What holds for every page: sign-in, errors, templates, no inline code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.template.loader import get_template
from django.test import Client, RequestFactory
from django.urls import reverse

from mutoscope.accounts.models import User
from mutoscope.api import errors

TEMPLATES = Path(settings.BASE_DIR) / "templates"
EVERY_TEMPLATE = sorted(str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*.html"))

VISITORS_PAGES = [
    "account_login", "account_signup", "account_reset_password", "account_reset_password_done",
    "account_reset_password_from_key_done", "account_email_verification_sent", "account_inactive",
]  # fmt: skip
MEMBERS_PAGES = [
    "account_logout", "account_email", "account_change_password", "account_reauthenticate", "dashboard:create",
    "dashboard:library", "dashboard:jobs", "dashboard:keys", "dashboard:usage", "dashboard:entries",
    "dashboard:receipts", "dashboard:mark",
]  # fmt: skip


def _is_ours(html: str) -> None:
    assert "mutoscope/app.css" in html
    assert html.count("<h1") == 1
    assert html.count("<main") == 1
    assert "<html lang=" in html
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", html), "inline code"
    assert not re.search(r'(?:src|href)="(?:https?:)?//(?!127\.0\.0\.1|testserver)', html), (
        "somebody else's server"
    )
    for label in re.findall(r'<label for="([^"]+)"', html):
        assert f'id="{label}"' in html, f"a label without its input: {label}"


@pytest.mark.parametrize("name", VISITORS_PAGES)
def test_pages_for_visitors_wear_the_design(db: None, name: str) -> None:
    answer = Client().get(reverse(name))
    assert answer.status_code == 200
    _is_ours(answer.content.decode())


@pytest.mark.parametrize("name", MEMBERS_PAGES)
def test_pages_for_members_wear_the_design(alices: Client, name: str) -> None:
    html = alices.get(reverse(name), follow=True).content.decode()
    # allauth brings one script with data for its e-mail page
    _is_ours(re.sub(r"<script data-allauth-onload.*?</script>", "", html, flags=re.DOTALL))


def test_signing_up_gives_a_workspace_and_leads_to_create(db: None) -> None:
    client = Client()
    fields = {"email": "new@example.org", "password1": "correct horse battery"}
    answer = client.post(reverse("account_signup"), fields)
    assert answer["Location"] == reverse("dashboard:create")
    assert client.get(answer["Location"]).status_code == 200
    assert User.objects.get(email="new@example.org").workspaces.count() == 1


def test_signing_in_and_out(alice: User) -> None:
    client = Client()
    wrong = client.post(reverse("account_login"), {"login": alice.email, "password": "wrong"})
    assert 'role="alert"' in wrong.content.decode()
    there = f"{reverse('account_login')}?next={reverse('dashboard:library')}"
    fields = {"login": alice.email, "password": "correct horse battery", "next": reverse("dashboard:library")}
    assert client.post(there, fields)["Location"] == reverse("dashboard:library")
    client.post(reverse("account_logout"))
    assert client.get(reverse("dashboard:library")).status_code == 302


def test_a_lost_session_leads_fragments_to_sign_in(db: None) -> None:
    answer = Client().get(
        reverse("dashboard:library"),
        headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/library?kind=image"},
    )
    assert answer["HX-Redirect"] == f"{reverse('account_login')}?next=/library%3Fkind%3Dimage"


@pytest.mark.parametrize("signed_in", [True, False])
def test_unknown_addresses(alices: Client, signed_in: bool) -> None:
    client = alices if signed_in else Client()
    answer = client.get("/nowhere")
    assert answer.status_code == 404
    _is_ours(answer.content.decode())
    assert client.get("/api/v1/nowhere")["Content-Type"].startswith("application/problem+json")


def test_the_other_error_pages() -> None:
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    for answer in (
        errors.bad_request(request, Exception()),
        errors.permission_denied(request, PermissionDenied()),
        errors.server_error(request),
    ):
        _is_ours(answer.content.decode())


def test_a_form_from_elsewhere_is_refused_in_our_design(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    answer = client.post(reverse("dashboard:create"), {"model": "still"})
    assert answer.status_code == 403
    assert "open for too long" in answer.content.decode()


@pytest.mark.parametrize("name", EVERY_TEMPLATE)
def test_every_template_loads(name: str) -> None:
    get_template(name)


def test_there_is_one_style_sheet_and_it_needs_nobody_else() -> None:
    folder = Path(settings.BASE_DIR) / "platform" / "mutoscope" / "static" / "mutoscope"
    sheets = list(folder.glob("*.css"))
    assert [sheet.name for sheet in sheets] == ["app.css"]
    assert "url(" not in sheets[0].read_text()
    assert "@import" not in sheets[0].read_text()
