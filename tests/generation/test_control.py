"""Operators pause and resume, jobs are scheduled and have deadlines, and nothing is lost by any of it."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.conf import settings
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from generation import attempts, control, recovery, retention, services
from generation.engines.base import EngineError
from generation.errors import InvalidJob
from generation.models import Flow, Job, Pause
from generation.scheduling.claims import in_turn
from generation.scheduling.lanes import Lane, UnknownLane
from mutoscope import alerts
from mutoscope.accounts.models import User
from mutoscope.accounts.selectors import Access
from tests.conftest import is_problem
from tests.generation.crowd import claimed
from tests.generation.samples import PAID, at_once, finishing, kinds, running, submit, unsaved_clip

FREE = Lane("still", "free")


def waiting_tickets(lane: object) -> int:
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        return client.llen(str(lane))


def lanes(*arguments: str) -> str:
    out = io.StringIO()
    call_command("lanes", *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("scope", "open_lanes"),
    [("*", []), ("still", []), ("still.paid", [FREE]), ("preview", [PAID, FREE])],
)
def test_a_pause_stops_claims_and_resuming_gives_every_job(
    access: Access, scope: str, open_lanes: list[Lane]
) -> None:
    jobs = [submit(access), submit(access, tier="free")]
    assert control.pause(scope, reason="new driver")
    assert not control.pause(scope)
    later = submit(access)  # accepted all the same
    assert in_turn([PAID, FREE]) == open_lanes
    assert control.resume(scope)
    assert not control.resume(scope)
    assert set(claimed(5, PAID, FREE)) == {*jobs, later}


def test_paused_lanes_get_no_tickets_until_they_are_resumed(access: Access) -> None:
    submit(access)  # no ticket: the transaction of this test is never committed
    control.pause("still.paid")
    assert recovery.reissue_tickets() == 0
    control.resume("still.paid")
    assert waiting_tickets(PAID) == 1


def test_jobs_under_way_go_on_when_their_lane_is_paused(access: Access) -> None:
    job = finishing(access)
    control.pause("*")
    attempts.succeed(job, unsaved_clip(job))
    job.refresh_from_db()
    assert job.state == "succeeded"


def test_only_what_there_is_can_be_paused(db: None) -> None:
    with pytest.raises(UnknownLane, match=r"must be one of \*, .*still\.paid.* but is 'still\.gold'"):
        control.pause("still.gold")


def test_the_command_lists_pauses_and_resumes(access: Access) -> None:
    submit(access)
    assert "paused" in lanes("pause", "still.paid", "--reason", "new driver")
    assert "already" in lanes("pause", "still.paid")
    row = next(line for line in lanes().splitlines() if line.startswith("still.paid"))
    assert row.split()[1:] == ["1", "0", "0", row.split()[4], "s", "none", "still.paid:", "new", "driver"]
    (facts,) = [fact for fact in json.loads(lanes("list", "--json")) if fact["lane"] == "still.paid"]
    assert (facts["waiting"], facts["throttled"], facts["workers"], facts["paused"]) == (1, 0, 0, "still.paid")
    assert "resumed" in lanes("resume", "still.paid")
    assert "was not" in lanes("resume", "still.paid")
    with pytest.raises(CommandError, match="must be one of"):
        lanes("pause", "gold")


@pytest.fixture
def operator(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("op@example.org", "correct horse battery"))
    return client


def test_the_admin_shows_pauses_and_resumes_lanes(operator: Client, access: Access) -> None:
    submit(access)
    page = operator.get("/admin/generation/pause/")
    assert "still.paid" in page.content.decode()
    operator.post("/admin/generation/pause/", {"scope": "still.paid", "reason": "new driver", "pause": ""})
    pause = Pause.objects.get()
    assert (pause.scope, pause.reason, str(pause.paused_by)) == ("still.paid", "new driver", "op@example.org")
    assert "new driver" in operator.get("/admin/generation/pause/").content.decode()
    operator.post("/admin/generation/pause/", {"scope": "still.paid", "resume": ""})
    assert not Pause.objects.exists()
    answer = operator.post("/admin/generation/pause/", {"scope": "gold", "pause": ""}, follow=True)
    assert "must be one of" in answer.content.decode()


def test_who_may_only_look_cannot_pause(client: Client, alice: User) -> None:
    alice.is_staff = True
    alice.save()
    client.force_login(alice)
    assert client.post("/admin/generation/pause/", {"scope": "*", "pause": ""}).status_code == 403
    assert not Pause.objects.exists()


def test_the_admin_sends_jobs_to_the_front(operator: Client, access: Access) -> None:
    first, second = submit(access), submit(access)
    action = {"action": "send_to_the_front", "_selected_action": [str(second.pk)]}
    assert operator.post("/admin/generation/job/", action).status_code == 302
    assert claimed(2) == [second, first]


def test_a_scheduled_job_joins_its_lane_when_its_time_has_come(access: Access) -> None:
    job = submit(access, not_before=timezone.now() + timedelta(hours=1))
    assert (job.state, kinds(job), job.queued_at) == ("scheduled", ["scheduled"], None)
    assert claimed(1) == []
    assert recovery.release_scheduled_jobs() == 0
    Job.objects.filter(pk=job.pk).update(not_before=timezone.now())
    assert recovery.release_scheduled_jobs() == 1
    assert recovery.release_scheduled_jobs() == 0
    assert kinds(job) == ["scheduled", "queued"]
    assert claimed(1) == [job]


def test_a_time_that_has_passed_is_now(access: Access) -> None:
    job = submit(access, not_before=timezone.now() - timedelta(hours=1))
    assert job.state == "queued"


def test_a_scheduled_job_can_be_cancelled(access: Access) -> None:
    job = submit(access, not_before=timezone.now() + timedelta(hours=1))
    assert services.cancel(access, job.pk).state == "cancelled"


@pytest.mark.parametrize("tier", ["paid", "free", "batch"])
def test_the_deadline_is_by_tier_unless_asked_for(access: Access, tier: str) -> None:
    job = submit(access, tier=tier)
    assert job.deadline - job.created_at == settings.TIER_DEADLINES[tier]
    start = timezone.now() + timedelta(hours=5)
    assert submit(access, tier=tier, not_before=start).deadline - start == settings.TIER_DEADLINES[tier]
    asked = timezone.now() + timedelta(hours=1)
    assert submit(access, tier=tier, deadline=asked).deadline == asked


@pytest.mark.parametrize(
    ("wishes", "field", "rule"),
    [
        ({"deadline": -1}, "deadline", "must lie after"),
        ({"deadline": 31 * 24}, "deadline", "at most 30 days later"),
        ({"not_before": 2, "deadline": 1}, "deadline", "must lie after"),
        ({"not_before": 91 * 24}, "not_before", "at most 90 days ahead"),
    ],
)
def test_times_that_make_no_sense_are_refused(
    access: Access, wishes: dict[str, float], field: str, rule: str
) -> None:
    times = {name: timezone.now() + timedelta(hours=hours) for name, hours in wishes.items()}
    with pytest.raises(InvalidJob, match=rule) as refusal:
        submit(access, **times)
    assert refusal.value.field == field
    assert not Job.objects.exists()


def test_the_api_takes_and_tells_times(api: APIClient) -> None:
    body = {"model": "still", "mode": "t2v", "not_before": "2020-01-01T00:00:00Z"}
    soon = (timezone.now() + timedelta(hours=3)).isoformat()
    made = api.post("/api/v1/jobs", {**body, "not_before": soon}, format="json").json()
    assert made["state"] == "scheduled"
    assert made["not_before"].startswith(soon[:19])
    late = api.post("/api/v1/jobs", {**body, "deadline": "2020-01-01T00:00:00Z"}, format="json")
    assert is_problem(late, 400, "invalid")["errors"][0]["field"] == "deadline"


@pytest.mark.parametrize("start", [submit, running, finishing])
def test_past_its_deadline_a_job_fails_with_its_reason(access: Access, start: Any) -> None:
    job = start(access)
    assert recovery.expire_overdue_jobs() == 0
    Job.objects.filter(pk=job.pk).update(deadline=timezone.now() - timedelta(seconds=1))
    assert recovery.expire_overdue_jobs() == 1
    assert recovery.expire_overdue_jobs() == 0
    job.refresh_from_db()
    assert (job.state, job.error_code, job.lease_expires_at) == ("failed", "deadline_passed", None)
    assert "by its deadline" in job.error_message
    assert [attempt.outcome for attempt in job.attempts.all()] == ["expired"] * job.attempt
    flow = Flow.objects.get()
    assert (flow.waiting, flow.waiting_ms, flow.throttled) == (0, 0, False)
    if job.attempt:
        assert not attempts.is_held(job)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_upkeep_at_once_does_everything_once(access: Access) -> None:
    scheduled = [submit(access, not_before=timezone.now() + timedelta(hours=1)) for _ in range(4)]
    overdue = [submit(access) for _ in range(4)]
    Job.objects.filter(state="scheduled").update(not_before=timezone.now())
    Job.objects.filter(pk__in=[job.pk for job in overdue]).update(deadline=timezone.now())
    assert sum(at_once(*[recovery.release_scheduled_jobs] * 4)) == 4
    assert sum(at_once(*[recovery.expire_overdue_jobs] * 4)) == 4
    assert all(kinds(job) == ["scheduled", "queued"] for job in scheduled)
    assert all(kinds(job) == ["queued", "failed"] for job in overdue)


OUT = EngineError("out_of_memory", "the GPU ran out of memory", "machine")


def test_out_of_memory_is_tried_once_more_with_the_lightest_plan(access: Access, monkeypatch: Any) -> None:
    from generation import catalog  # noqa: PLC0415  it is patched

    still = catalog.models()["still"].model_copy(update={"memory_plans": ["full", "offload", "tiled"]})
    monkeypatch.setattr(catalog, "models", lambda: {"still": still})
    job = running(access)
    attempts.settle_error(job, OUT)
    (again,) = claimed(1)
    assert (again.pk, again.memory_plan, again.attempts.get(number=2).memory_plan) == (job.pk, "tiled", "tiled")
    attempts.settle_error(again, OUT)
    job.refresh_from_db()
    assert (job.state, job.error_code, job.attempt) == ("failed", "out_of_memory", 2)
    assert "even with the memory plan 'tiled'" in job.error_message


def test_out_of_memory_without_a_lighter_plan_fails_with_a_clear_reason(access: Access, monkeypatch: Any) -> None:
    from generation import catalog  # noqa: PLC0415  it is patched

    still = catalog.models()["still"].model_copy(update={"memory_plans": []})
    monkeypatch.setattr(catalog, "models", lambda: {"still": still})
    job = running(access)
    attempts.settle_error(job, OUT)
    job.refresh_from_db()
    assert (job.state, job.attempt) == ("failed", 1)
    assert "the model has no lighter memory plan; ask for a smaller or shorter clip" in job.error_message


def test_what_is_ours_is_told_to_the_operators_once(access: Access, settings: Any) -> None:
    settings.ADMINS = [("Operators", "ops@example.org")]
    for _ in range(2):
        job = running(access)
        attempts.settle_error(job, EngineError("engine_failed", "KeyError: 'x'", "ours"))
        services.cancel(access, job.pk)
    (letter,) = mail.outbox
    assert "still: engine_failed" in letter.subject
    assert str(job.pk)[:4] in letter.body or "KeyError" in letter.body
    assert not alerts.alert("again", "the same", key="still:engine_failed")


def test_checkpoints_of_ended_jobs_are_removed(access: Access, settings: Any) -> None:
    from django.core.files.base import ContentFile  # noqa: PLC0415
    from django.core.files.storage import default_storage  # noqa: PLC0415

    under_way, ended = running(access), running(access)
    for job in (under_way, ended):
        name = default_storage.save(f"{retention.checkpoint_folder(job.pk)}/1-5", ContentFile(b"latents"))
        Job.objects.filter(pk=job.pk).update(checkpoint=name, checkpoint_step=5)
    attempts.fail(ended, "test", "failed")
    assert retention.discard_checkpoints() == 1
    assert retention.discard_checkpoints() == 0
    assert default_storage.listdir("checkpoints")[0] == [str(under_way.pk)]
    ended.refresh_from_db()
    assert (ended.checkpoint, ended.checkpoint_step) == ("", 0)


def test_what_an_attempt_stored_and_did_not_publish_is_removed(access: Access, settings: Any) -> None:
    from django.core.files.storage import default_storage  # noqa: PLC0415

    published, lost = finishing(access), finishing(access)
    for job in (published, lost):
        clip = unsaved_clip(job)
        job.attempts.update(clip_id=clip.pk)
        if job == published:
            attempts.succeed(job, clip)
    attempts.fail(lost, "test", "failed")
    assert retention.discard_unpublished_clips() == 0  # whoever stored it may be at it still
    lost.attempts.update(ended_at=timezone.now() - 2 * settings.JOB_LEASE)
    assert retention.discard_unpublished_clips() == 1
    assert retention.discard_unpublished_clips() == 0
    published.refresh_from_db()
    assert published.output is not None
    workspace = f"workspaces/{access.workspace.pk}"
    assert default_storage.listdir(workspace)[0] == [str(published.output.pk)]
    assert default_storage.exists(str(published.output.file))


def test_a_job_given_back_keeps_the_progress_of_its_checkpoint(access: Access) -> None:
    job = running(access)
    attempts.note_progress(job, 0.9)
    Job.objects.filter(pk=job.pk).update(checkpoint="checkpoints/x", checkpoint_step=6)
    attempts.give_back(job, "stopped", "the worker was stopped", blame="", counts=False)
    job.refresh_from_db()
    assert (job.progress, job.failures) == (6 / 8, 0)
