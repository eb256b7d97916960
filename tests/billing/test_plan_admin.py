"""The admin's pages of plans, subscriptions and overrides."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from billing.entitlements import entitlements_of, limit_by_workspace
from billing.models import LIMITS, Plan, PlanOverride, Subscription
from mutoscope.accounts.models import User, Workspace

PLANS, SUBSCRIPTIONS, OVERRIDES = (f"/admin/billing/{name}/" for name in ("plan", "subscription", "planoverride"))


@pytest.fixture
def operator(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("op@example.org", "correct horse battery"))
    return client


def errors(answer: Any) -> str:
    assert answer.status_code == 200, "it was taken"
    return json.dumps(answer.context["adminform"].form.errors)


PLAN = {
    "name": "Team", "slug": "team", "summary": "For teams.", "tiers": "paid, free", "weight": "3",
    "concurrent_jobs": "4", "queued_jobs": "20", "credits_per_month": "500", "seconds_per_day": "90",
    "seconds_per_month": "", "allowed_models": "still,  preview", "allowed_presets": "", "max_pixels": "921600",
    "max_seconds": "6.5", "storage_mib": "1024", "retention_days": "60", "watermark": "on",
    "output_formats": "mp4, webm", "requests_per_minute": "100", "price_cents": "4900", "currency": "usd",
    "stripe_price": "",
}  # fmt: skip


def test_a_plan_is_made_and_changed_with_every_limit(operator: Client) -> None:
    assert operator.post(f"{PLANS}add/", PLAN).status_code == 302
    plan = Plan.objects.get(slug="team")
    assert {name: getattr(plan, name) for name in LIMITS} == {
        "tiers": ["paid", "free"], "weight": 3, "concurrent_jobs": 4, "queued_jobs": 20, "credits_per_month": 500,
        "seconds_per_day": 90, "seconds_per_month": None, "allowed_models": ["still", "preview"],
        "allowed_presets": [], "max_pixels": 921600, "max_seconds": 6.5, "watermark": True,
        "output_formats": ["mp4", "webm"], "storage_mib": 1024, "retention_days": 60, "requests_per_minute": 100,
    }  # fmt: skip
    page = operator.get(f"{PLANS}team/change/").content.decode()
    assert 'value="paid, free"' in page
    assert "Clips carry the operator" in page
    assert operator.post(f"{PLANS}team/change/", {**PLAN, "queued_jobs": "21", "slug": "other"}).status_code == 302
    assert Plan.objects.get(slug="team").queued_jobs == 21


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("tiers", "paid, gold", "gold"),
        ("tiers", "", "required"),
        ("weight", "0", "greater than or equal to 1"),
        ("concurrent_jobs", "0", "greater than or equal to 1"),
        ("queued_jobs", "-1", "greater than or equal to 0"),
        ("retention_days", "0", "greater than or equal to 1"),
    ],
)
def test_a_plan_that_could_not_be_kept_is_refused(operator: Client, field: str, value: str, said: str) -> None:
    told = errors(operator.post(f"{PLANS}add/", {**PLAN, field: value}))
    assert said in told
    assert f'"{field}"' in told


def test_one_plan_is_the_default_and_stays(operator: Client, charlie: User) -> None:
    def choose(*slugs: str) -> str:
        chosen = {"action": "make_default", "_selected_action": slugs}
        return operator.post(PLANS, chosen, follow=True).content.decode()

    assert "Choose one plan: 2 are chosen." in choose("creator", "studio")
    choose("creator")
    assert Plan.objects.get(is_default=True).slug == "creator"
    assert entitlements_of(charlie.workspaces.get().pk).slug == "creator"
    assert operator.post(f"{PLANS}creator/delete/", {"post": "yes"}).status_code == 403
    operator.post(PLANS, {"action": "delete_selected", "_selected_action": ["creator"], "post": "yes"})
    assert Plan.objects.filter(slug="creator").exists()
    assert operator.post(f"{PLANS}free/delete/", {"post": "yes"}).status_code == 302


def test_a_subscription_is_given_and_the_provider_s_columns_are_not(operator: Client, charlie: User) -> None:
    workspace = charlie.workspaces.get()
    form = {"workspace": str(workspace.pk), "plan": "creator", "provider": "stripe", "provider_id": "sub_1"}
    assert operator.post(f"{SUBSCRIPTIONS}add/", form).status_code == 302
    subscription = Subscription.objects.get(workspace=workspace)
    assert (subscription.plan_id, subscription.provider, subscription.provider_id) == ("creator", "", "")
    assert operator.post(f"{SUBSCRIPTIONS}{workspace.pk}/change/", {"plan": "studio"}).status_code == 302
    assert entitlements_of(workspace.pk).slug == "studio"


def override(
    workspace: Workspace, limit: str = "queued_jobs", value: str = "7", days: float = 2
) -> dict[str, str]:
    ends = timezone.now() + timedelta(days=days)
    return {
        "workspace": str(workspace.pk), "limit": limit, "value": value, "reason": "a launch",
        "ends_at_0": f"{ends:%Y-%m-%d}", "ends_at_1": f"{ends:%H:%M:%S}",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("limit", "typed", "value"),
    [
        ("queued_jobs", "7", 7), ("seconds_per_day", "null", None), ("seconds_per_day", "", None),
        ("tiers", '["batch"]', ["batch"]), ("max_seconds", "2.5", 2.5), ("max_seconds", "2", 2),
        ("watermark", "true", True), ("allowed_models", "[]", []),
    ],
)  # fmt: skip
def test_an_override_is_made_with_who_and_why(
    operator: Client, workspace: Workspace, limit: str, typed: str, value: Any
) -> None:
    assert operator.post(f"{OVERRIDES}add/", override(workspace, limit, typed)).status_code == 302
    made = PlanOverride.objects.get()
    assert (made.value, made.reason, str(made.made_by)) == (value, "a launch", "op@example.org")
    plan = entitlements_of(workspace.pk)
    assert (getattr(plan, limit), plan.overridden) == (value, {limit})


@pytest.mark.parametrize(
    ("limit", "typed"),
    [
        ("queued_jobs", "null"), ("queued_jobs", "-1"), ("queued_jobs", "2.5"), ("queued_jobs", "true"),
        ("queued_jobs", '"7"'), ("queued_jobs", "[7]"), ("queued_jobs", "{}"), ("queued_jobs", "99999999999"),
        ("queued_jobs", "not json"), ("weight", "0"), ("tiers", "[]"), ("tiers", '["gold"]'), ("tiers", '"paid"'),
        ("tiers", "7"), ("tiers", "[[]]"), ("watermark", "1"), ("watermark", "null"), ("max_seconds", "0"),
        ("max_seconds", "NaN"), ("max_seconds", '"long"'), ("retention_days", "0"), ("allowed_models", "null"),
        ("price_cents", "1"),
    ],
)  # fmt: skip
def test_a_value_that_the_plan_could_not_have_is_refused(
    operator: Client, workspace: Workspace, limit: str, typed: str
) -> None:
    told = errors(operator.post(f"{OVERRIDES}add/", override(workspace, limit, typed)))
    assert ('"limit"' if limit == "price_cents" else '"value"') in told
    assert not PlanOverride.objects.exists()


def test_an_end_that_is_past_is_refused(operator: Client, workspace: Workspace) -> None:
    told = errors(operator.post(f"{OVERRIDES}add/", override(workspace, days=-1)))
    assert "ends_at must lie ahead, but is" in told


def test_the_list_says_what_is_in_force_and_operators_end_it(operator: Client, workspace: Workspace) -> None:
    for value in ("7", "8"):
        operator.post(f"{OVERRIDES}add/", override(workspace, value=value))
    older, newer = PlanOverride.objects.order_by("pk")
    page = operator.get(OVERRIDES).content.decode()
    assert "in force" in page
    assert "replaced" in page
    assert entitlements_of(workspace.pk).queued_jobs == 8
    operator.post(OVERRIDES, {"action": "end_now", "_selected_action": [str(newer.pk)]})
    assert entitlements_of(workspace.pk).queued_jobs == 7
    for standing, shown in (("in-force", older), ("over", newer)):
        found = operator.get(OVERRIDES, {"standing": standing}).context["cl"].result_list
        assert list(found) == [shown]


def test_an_override_is_not_rewritten_but_may_end_otherwise(operator: Client, workspace: Workspace) -> None:
    operator.post(f"{OVERRIDES}add/", override(workspace))
    made = PlanOverride.objects.get()
    changed = override(workspace, value="9", days=5) | {"reason": "another"}
    assert operator.post(f"{OVERRIDES}{made.pk}/change/", changed).status_code == 302
    again = PlanOverride.objects.get()
    assert (again.value, again.reason) == (7, "a launch")
    assert again.ends_at > made.ends_at


def test_one_limit_of_many_workspaces(workspace: Workspace, charlie: User) -> None:
    strangers = charlie.workspaces.get()
    ends = timezone.now() + timedelta(days=1)
    for value in (5, None):
        PlanOverride.objects.create(
            workspace=workspace, limit="retention_days", value=value, reason="a film", ends_at=ends
        )
    both = [workspace.pk, strangers.pk]
    assert limit_by_workspace("retention_days", both) == {workspace.pk: None, strangers.pk: 30}
    assert limit_by_workspace("queued_jobs", both) == {pk: entitlements_of(pk).queued_jobs for pk in both}
