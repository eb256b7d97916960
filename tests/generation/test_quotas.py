"""How much of a plan's limits is used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from assets import trash
from billing import ledger
from billing.entitlements import entitlements_of
from billing.models import Plan, PlanOverride
from billing.renewals import renew
from billing.services import subscribe
from generation import quotas
from generation.models import Job
from generation.quotas import Quota
from generation.scheduling.claims import Claimant, claim
from generation.scheduling.lanes import Lane
from mutoscope.accounts.models import Workspace
from mutoscope.accounts.selectors import Access
from mutoscope.accounts.services import create_workspace
from tests.generation.samples import submit, unsaved_clip
from tests.generation.uses import ended_job


@pytest.fixture
def workspace(workspace: Workspace) -> Workspace:
    """On the free plan: every limit is set."""
    subscribe(workspace, Plan.objects.get(slug="free"))
    return workspace


def of(workspace: Workspace) -> dict[str, Quota]:
    found = quotas.quotas_of(workspace.pk, entitlements_of(workspace.pk))
    return {quota.limit: quota for quota in found}


def test_seconds_count_when_they_are_asked_for_and_not_when_they_came_to_nothing(workspace: Workspace) -> None:
    now = timezone.now()
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    ended_job(workspace, today, seconds=5)
    ended_job(workspace, today, seconds=7, state=Job.State.QUEUED)
    ended_job(workspace, today, seconds=11, state=Job.State.FAILED)
    ended_job(workspace, today, seconds=13, state=Job.State.CANCELLED)
    ended_job(workspace, today - timedelta(microseconds=1), seconds=17)
    found = of(workspace)
    assert (found["seconds_per_day"].used, found["seconds_per_day"].allowed) == (12, 60)
    assert found["seconds_per_day"].resets_at == today + timedelta(days=1)
    assert found["seconds_per_day"].percent == 20
    yesterday_counts = today.day > 1
    assert found["seconds_per_month"].used == (29 if yesterday_counts else 12)


def test_jobs_that_wait_and_run(access: Access, workspace: Workspace) -> None:
    submit(access)
    submit(access)
    assert claim([Lane("still", "free")], Claimant("w1"))
    found = of(workspace)
    assert (found["queued_jobs"].used, found["concurrent_jobs"].used) == (1, 1)


def test_credits_of_the_month_are_used_once_they_are_held(workspace: Workspace) -> None:
    assert (of(workspace)["credits_per_month"].used, of(workspace)["credits_per_month"].allowed) == (0, 100)
    renew(workspace.pk, entitlements_of(workspace.pk))
    ledger.add(workspace.pk, 500, ledger.Kind.PURCHASE, reference="pack")
    ledger.hold(workspace.pk, workspace.pk, 130)
    found = of(workspace)["credits_per_month"]
    assert (found.used, found.allowed, found.percent) == (100, 100, 100)
    assert found.resets_at is not None
    assert found.resets_at.astimezone(UTC) > datetime.now(UTC)
    assert found.resets_at.astimezone(UTC).day == 1


def test_files_in_the_library(access: Access, workspace: Workspace) -> None:
    clip = unsaved_clip(submit(access))
    clip.size_bytes = 3 * 2**20
    clip.save()
    assert of(workspace)["storage_mib"].used == 3
    trash.delete(access, clip.pk)
    assert of(workspace)["storage_mib"].used == 0


def test_what_has_been_agreed_holds(workspace: Workspace) -> None:
    ended_job(workspace, timezone.now(), seconds=30)
    PlanOverride.objects.create(
        workspace=workspace,
        limit="seconds_per_day",
        value=30,
        reason="trial",
        ends_at=timezone.now() + timedelta(1),
    )
    assert of(workspace)["seconds_per_day"].percent == 100
    assert dict(_nearly(80)) == {workspace.name: "seconds_per_day"}


def test_no_limit_is_never_used_up(workspace: Workspace) -> None:
    subscribe(workspace, Plan.objects.get(slug="enterprise"))
    ended_job(workspace, timezone.now(), seconds=1e6)
    found = of(workspace)["seconds_per_day"]
    assert (found.used, found.allowed, found.percent) == (1e6, None, 0)
    assert _nearly(80) == []


def test_of_all_workspaces_in_the_same_queries(
    workspace: Workspace, access: Access, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    assert access.user
    others = [create_workspace(access.user, f"other {number}") for number in range(5)]
    for number, other in enumerate([workspace, *others]):
        ended_job(other, timezone.now(), seconds=46 + number)
    with django_assert_num_queries(14, exact=False) as one:
        assert sorted(_nearly(80)) == [(f"other {number}", "seconds_per_day") for number in (1, 2, 3, 4)]
    Workspace.objects.filter(pk__in=[other.pk for other in others]).delete()
    with django_assert_num_queries(len(one)):
        assert _nearly(80) == []


def _nearly(percent: int) -> list[tuple[str, str]]:
    names = {workspace.pk: workspace.name for workspace in Workspace.objects.all()}
    return [(names[key], quota.limit) for key, quota in quotas.nearly_used(percent)]
