"""Deleting a workspace: closed at once, empty soon, and the books stay right."""

from __future__ import annotations

import time
from datetime import date, timedelta
from math import inf
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import models
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from assets.models import Asset
from assets.objects import StorageAway, listing
from assets.services import upload
from billing import ledger, renewals
from billing.models import Customer, Plan
from generation import attempts, audit, services
from generation.costs.report import report
from generation.deletion import rows, workspaces
from generation.models import Attempt, Job, JobEvent
from generation.services import JobRequest
from generation.storage_audit import audit as storage_audit
from generation.tasks import discard, retain
from mutoscope.accounts.models import ApiKey, Membership, User, Workspace
from mutoscope.accounts.selectors import Access
from mutoscope.errors import NotFound
from tests.conftest import is_problem, picture_file
from tests.generation.deletion.estates import SECRET, furnish, tables_that_say
from tests.generation.samples import at_once


@pytest.fixture
def metered(workspace: Workspace) -> Workspace:
    Plan.objects.filter(slug="studio").update(credits_per_month=1000)
    return workspace


def test_nobody_gets_in_and_nothing_comes_in(
    access: Access, api: APIClient, alice: User, bob: User, client: Client
) -> None:
    furnish(access)
    client.force_login(alice)
    assert workspaces.delete(access.workspace.pk)
    is_problem(api.get("/api/v1/jobs"), 401, "authentication_failed")
    assert client.get("/library").status_code == 403
    assert not bob.workspaces.exists()
    with pytest.raises(NotFound, match="has been deleted"):
        upload(access, picture_file())
    with pytest.raises(NotFound, match="has been deleted"):
        services.submit(access, JobRequest(model="still", mode="t2v", prompt="still here"))
    assert not Job.objects.filter(state__in=Job.ACTIVE).exists()
    assert list(listing("workspaces"))
    assert not workspaces.delete(access.workspace.pk)


def test_what_is_left_has_no_words_and_no_files(access: Access, metered: Workspace) -> None:
    furnish(access)
    name = metered.name
    assert tables_that_say(SECRET)
    workspaces.delete(metered.pk)
    assert workspaces.carry_on(until=inf) == 1
    # What is the person's own, and goes with the account.
    assert {table for table, _ in tables_that_say(SECRET, name)} == {"account_emailaddress", "django_admin_log"}
    assert not list(listing())
    metered.refresh_from_db()
    assert metered.emptied_at
    assert metered.name == f"deleted workspace {metered.pk}"
    with storage_audit(timedelta(0)) as found:
        assert not list(found.orphans())
        assert not list(found.missing())


def test_the_books_and_the_costs_stay_right(access: Access, metered: Workspace) -> None:
    running = furnish(access)
    Attempt.objects.update(
        gpu="NVIDIA H100 80GB HBM3",
        engine_started_at=timezone.now() - timedelta(minutes=2),
        engine_ended_at=timezone.now() - timedelta(minutes=1),
    )
    before = _figures()
    jobs = Job.objects.count()
    workspaces.delete(metered.pk)
    while workspaces.unfinished().filter(emptied_at=None).exists():
        workspaces.carry_on(until=inf)
    assert list(audit.problems()) == []
    left = ledger.balance(metered.pk)
    assert (left.available, left.held) == (0, 0)
    assert running.credits == 3
    assert ledger.captured([running.pk]) == {running.pk: 1}
    assert Job.objects.count() == jobs
    after = _figures()
    # What had succeeded costs as before; of what ran and was cancelled, all is lost now.
    assert (after["attempts"], after["jobs"], after["video"]) == (
        before["attempts"],
        before["jobs"],
        before["video"],
    )
    assert after["usd"] == before["usd"]


def _figures() -> dict[str, Any]:
    today = timezone.now().date()
    total = report(today - timedelta(days=1), today).total
    return {"attempts": total.attempts, "jobs": total.jobs, "video": total.video_seconds, "usd": total.usd}


def test_it_goes_on_where_it_was_cut_short(
    access: Access, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(access)
    workspaces.delete(workspace.pk)
    monkeypatch.setattr(rows, "BATCH", 1)
    assert workspaces.carry_on(until=time.monotonic()) == 0
    assert workspaces._empty(workspace.pk, time.monotonic() - 1) is False
    workspace.refresh_from_db()
    assert workspace.emptied_at is None
    assert workspaces.carry_on(until=inf) == 1
    assert not Asset.objects.exists()


def test_it_is_not_empty_while_the_storage_is_away(
    access: Access, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(access)
    workspaces.delete(workspace.pk)

    def away(folder: str) -> None:
        raise StorageAway("no route to host")

    with monkeypatch.context() as patch:
        patch.setattr(workspaces, "discard_tree", away)
        assert workspaces.carry_on(until=inf) == 0
    assert Asset.objects.count() == 2  # rows stay as long as their files may be there
    assert workspaces.carry_on(until=inf) == 1


def test_what_comes_late_goes_too(access: Access, workspace: Workspace) -> None:
    furnish(access)
    workspaces.delete(workspace.pk)
    workspaces.carry_on(until=inf)
    assert not workspaces.unfinished().exists()
    default_storage.save(f"workspaces/{workspace.pk}/late/clip.mp4", ContentFile(b"late"))
    Workspace.objects.update(emptied_at=timezone.now() - timedelta(minutes=11))
    workspaces.carry_on(until=inf)
    assert not list(listing("workspaces"))
    Workspace.objects.update(
        deleted_at=timezone.now() - timedelta(days=2), emptied_at=timezone.now() - timedelta(days=2)
    )
    assert not workspaces.unfinished().exists()


def test_a_clip_that_was_just_made_is_not_published(access: Access, workspace: Workspace) -> None:
    running = furnish(access)
    held = Job.objects.get(pk=running.pk)
    workspaces.delete(workspace.pk)
    with pytest.raises(attempts.Lost):
        attempts.start_finishing(held, {}, steps=8)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_two_rounds_at_once(access: Access, workspace: Workspace) -> None:
    furnish(access)
    workspaces.delete(workspace.pk)
    at_once(*[lambda: workspaces.carry_on(until=inf)] * 2)
    workspaces.carry_on(until=inf)
    workspace.refresh_from_db()
    assert workspace.emptied_at
    assert list(audit.problems()) == []


def test_others_lose_nothing(access: Access, workspace: Workspace, charlie: User) -> None:
    furnish(access)
    theirs = charlie.workspaces.get()
    picture = upload(Access(workspace=theirs, scopes=frozenset(), user=charlie), picture_file())
    log = LogEntry.objects.filter(object_id=str(theirs.pk)).count()
    workspaces.delete(workspace.pk)
    workspaces.carry_on(until=inf)
    assert {stored.name for stored in listing()} == {picture.file.name, picture.thumbnail.name}
    theirs.refresh_from_db()
    assert (theirs.name, theirs.deleted_at) == ("Charlie's", None)
    assert LogEntry.objects.filter(object_id=str(theirs.pk)).count() == log
    assert Membership.objects.filter(user=charlie).count() == 1


def test_upkeep_sees_to_it_and_brings_no_more_credits(access: Access, metered: Workspace) -> None:
    furnish(access)
    workspaces.delete(metered.pk)
    Plan.objects.filter(is_default=True).update(credits_per_month=7)
    retain()
    discard()
    metered.refresh_from_db()
    assert metered.emptied_at
    assert renewals.renew_all() == 0


def test_every_model_that_refers_to_workspaces_is_thought_of() -> None:
    """Whatever will be added goes with its workspace, or has to be named here with what stays of it."""
    kept = {Job, Customer}
    told = {model for model, _ in rows.referring_to(Workspace)}
    referring = {
        model
        for model in apps.get_models()
        for column in model._meta.concrete_fields
        if isinstance(column, models.ForeignKey) and column.related_model is Workspace
    }
    assert told == referring, "a reference that does not CASCADE would be left behind"
    assert kept <= told
    assert {ApiKey, Membership, Asset} <= told
    of_jobs = {model for model, _ in rows.referring_to(Job)}
    assert {Attempt, JobEvent} <= of_jobs


def test_no_word_of_a_job_is_left(access: Access, workspace: Workspace) -> None:
    """Every column of text in a job is either emptied or a name of the platform's own."""
    furnish(access)
    platforms = {
        "model", "tier", "lane", "mode", "size", "preset", "state", "avoid", "memory_plan", "error_code",
        "format", "quality", "loop",
    }  # fmt: skip
    texts = {
        column.name
        for column in Job._meta.concrete_fields
        if isinstance(column, models.CharField | models.TextField | models.JSONField)
    }
    assert texts - set(rows.WORDLESS) == platforms | {"adapters"}
    workspaces.delete(workspace.pk)
    workspaces.carry_on(until=inf)
    for job in Job.objects.all():
        assert (job.prompt, job.recipe, job.picture_id, job.output_id, job.created_by_id) == (
            "",
            {},
            None,
            None,
            None,
        )
        assert job.state in Job.TERMINAL
        assert job.width
        assert job.created_at.date() <= date.today()
