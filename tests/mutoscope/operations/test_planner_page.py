"""The admin's planner: the form, the plan under it, and what it says of impossible ones."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from mutoscope.accounts.models import User

ASKED = {
    "clips_per_day": 1000, "seconds": 4, "model": "ltx-video-2b", "profile": "working-day", "workspaces": 10,
    "tiers": "paid", "seed": 1,
}  # fmt: skip


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("op@example.org", "correct horse battery"))
    return client


def page(client: Client, **of: object) -> str:
    response = client.get(reverse("admin-planner"), {**ASKED, **of})
    assert response.status_code == 200
    return response.content.decode()


def test_the_form_alone_asks_for_nothing(operator: Client) -> None:
    response = operator.get("/admin/planner/")
    assert response.status_code == 200
    told = response.content.decode()
    assert "Clips per day" in told
    assert 'id="plan"' not in told
    assert "ltx-video-2b" in told


def test_it_is_in_the_sidebar(operator: Client) -> None:
    assert reverse("admin-planner") in operator.get("/admin/").content.decode()


def test_the_plan_stands_under_the_form(operator: Client) -> None:
    told = page(operator)
    for words in ("8 GPU-hours a day", "$6.40", "$576.00", "$200.00", "31.25×", "25.00×", "(estimate)", "p95"):
        assert words in told


def test_a_link_need_not_name_everything(operator: Client) -> None:
    response = operator.get("/admin/planner/", {"clips_per_day": 1000, "seconds": 4, "model": "LTX-Video"})
    assert "$6.40" in response.content.decode()


def test_what_cannot_be_planned_stands_at_its_field(operator: Client) -> None:
    response = operator.get(reverse("admin-planner"), {**ASKED, "clips_per_day": 0})
    assert response.context["form"].errors == {
        "clips_per_day": ["clips_per_day must be from 1 to 10,000,000, but is 0"]
    }
    assert 'id="plan"' not in response.content.decode()


def test_only_operators_who_may_see_prices_get_in(alice: User) -> None:
    address = reverse("admin-planner")
    client = Client()
    assert client.get(address).status_code == 302
    client.force_login(alice)
    assert client.get(address).status_code == 302
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    assert client.get(address).status_code == 403
    alice.user_permissions.add(Permission.objects.get(codename="view_gpuprice"))
    assert client.get(address).status_code == 200
