"""Who nearly used up a limit is told of it, once."""

from __future__ import annotations

import re
from datetime import timedelta
from smtplib import SMTPServerDisconnected
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.urls import reverse
from django.utils import timezone

from assets.models import Asset
from billing import ledger
from billing.entitlements import entitlements_of
from billing.models import Plan, UsageWarning
from billing.renewals import renew
from billing.services import subscribe
from generation import tasks, usage_warnings
from generation.models import Job
from mutoscope.accounts.models import Membership, User, Workspace
from mutoscope.celery import app
from tests.conftest import RunManage, wait_for
from tests.generation.samples import at_once
from tests.generation.uses import ended_job


@pytest.fixture
def workspace(workspace: Workspace) -> Workspace:
    """On the free plan: 60 s of video a day, 600 s and 100 credits a month, 2 GiB."""
    subscribe(workspace, Plan.objects.get(slug="free"))
    return workspace


def a_round() -> list[bool]:
    """What one round of upkeep does, mails and all."""
    return [usage_warnings.send(workspace, limit) for workspace, limit in usage_warnings.due()]


def test_80_and_100_percent_are_told_once_each(workspace: Workspace, bob: User) -> None:
    ended_job(workspace, timezone.now(), seconds=47.9)
    assert a_round() == []
    ended_job(workspace, timezone.now(), seconds=0.1)
    assert a_round() == [True]
    assert a_round() == []
    ended_job(workspace, timezone.now(), seconds=12)
    assert a_round() == [True]
    assert a_round() == []
    assert [message.subject for message in mail.outbox] == [
        "Alice & Co has used 80 % of its video for today", "Alice & Co has used 100 % of its video for today",
    ]  # fmt: skip
    assert [message.to for message in mail.outbox] == [["alice@example.org"]] * 2  # bob only sees
    assert list(UsageWarning.objects.order_by("percent").values_list("limit", "percent")) == [
        ("seconds_per_day", 80), ("seconds_per_day", 100),
    ]  # fmt: skip


def test_who_leaps_over_80_percent_is_told_of_100_alone(workspace: Workspace) -> None:
    job = ended_job(workspace, timezone.now(), seconds=60)
    assert a_round() == [True]
    Job.objects.filter(pk=job.pk).update(seconds=50)
    assert a_round() == []
    assert len(mail.outbox) == 1


def test_what_it_says(workspace: Workspace) -> None:
    ended_job(workspace, timezone.now(), seconds=50)
    a_round()
    message = mail.outbox[0]
    assert isinstance(message.body, str)
    html = str(message.alternatives[0][0])  # type: ignore[attr-defined]
    tomorrow = timezone.now().date() + timedelta(days=1)
    for said in (
        "has used 50 of the 60 seconds of video a day that the plan Free allows",
        "No more jobs are taken then until the day is over.",
        f"begins anew on {tomorrow} at 00:00 UTC",
        f"{django_settings.PUBLIC_URL}{reverse('dashboard:usage')}",
        "once at 80 % and once at 100 %",
    ):
        assert said in message.body
        assert said in re.sub(r"</?strong>", "", html)
    assert "Alice & Co" in message.body
    assert "Alice &amp; Co" in html


def test_the_credits_of_the_month(workspace: Workspace) -> None:
    renew(workspace.pk, entitlements_of(workspace.pk))
    ledger.add(workspace.pk, 500, ledger.Kind.PURCHASE, reference="pack")
    ledger.hold(workspace.pk, workspace.pk, 85)
    assert a_round() == [True]
    assert "85 of the 100 credits a month" in mail.outbox[0].body
    assert "has 515 credits in all" in mail.outbox[0].body
    assert a_round() == []


def test_the_storage(workspace: Workspace) -> None:
    Asset.objects.create(
        workspace=workspace, kind="audio", origin="uploaded", name="long.wav", media_type="audio/wav", seconds=1,
        uploaded_type="audio/wav", size_bytes=2 * 2**30, sha256="0" * 64, file="long.wav",
    )  # fmt: skip
    assert a_round() == [True]
    assert "used 2,048 of the 2,048 MiB of storage" in mail.outbox[0].body
    assert "begins anew" not in mail.outbox[0].body


def test_a_month_s_seconds_and_a_day_s_are_told_apart(workspace: Workspace) -> None:
    ended_job(workspace, timezone.now(), seconds=600)
    assert a_round() == [True, True]
    assert sorted(UsageWarning.objects.values_list("limit", flat=True)) == ["seconds_per_day", "seconds_per_month"]


def test_the_next_period_is_told_of_anew(workspace: Workspace) -> None:
    ended_job(workspace, timezone.now(), seconds=60)
    assert a_round() == [True]
    UsageWarning.objects.update(period="2026-01-01")
    assert a_round() == [True]


class Silent(EmailBackend):
    """A mail server that breaks off."""

    def send_messages(self, messages: Any) -> int:
        raise SMTPServerDisconnected("try later")


def test_a_mail_server_that_fails_loses_nothing(workspace: Workspace, settings: Any) -> None:
    working = settings.EMAIL_BACKEND
    settings.EMAIL_BACKEND = f"{__name__}.Silent"
    ended_job(workspace, timezone.now(), seconds=50)
    with pytest.raises(SMTPServerDisconnected):
        a_round()
    assert not UsageWarning.objects.exists()
    settings.EMAIL_BACKEND = working
    assert a_round() == [True]
    assert a_round() == []
    assert len(mail.outbox) == 1


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_two_at_once_send_one(workspace: Workspace) -> None:
    ended_job(workspace, timezone.now(), seconds=50)
    [(workspace_id, limit)] = usage_warnings.due()
    sent = at_once(*[lambda: usage_warnings.send(workspace_id, limit)] * 6)
    assert sorted(sent) == [False] * 5 + [True]
    assert len(mail.outbox) == 1


def test_a_workspace_that_nobody_manages_any_more(workspace: Workspace, alice: User) -> None:
    ended_job(workspace, timezone.now(), seconds=50)
    Membership.objects.filter(user=alice).update(role=Membership.Role.CREATOR)
    assert a_round() == [False]
    Membership.objects.filter(user=alice).update(role=Membership.Role.MANAGER)
    assert a_round() == [True]


def test_the_clock_asks_for_each_and_waits_for_none(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(tasks.send_warning, "apply_async", lambda args, **options: asked.append(args))
    ended_job(workspace, timezone.now(), seconds=50)
    schedule = app.conf.beat_schedule["warn_of_limits"]
    app.tasks[schedule["task"]]()
    assert asked == [(str(workspace.pk), "seconds_per_day")]
    assert mail.outbox == []
    tasks.send_warning(*asked[0])
    assert len(mail.outbox) == 1


@pytest.mark.processes
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_upkeep_sends_what_the_clock_asked_for(workspace: Workspace, manage: RunManage) -> None:
    ended_job(workspace, timezone.now(), seconds=50)
    with manage("upkeep", EMAIL_URL="consolemail://"):
        tasks.warn_of_limits()
        wait_for(UsageWarning.objects.exists, what="the e-mail")
    assert usage_warnings.due() == []
