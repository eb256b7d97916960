"""Changes of state happen once, say who made them, and are closed to whoever lost the job."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from assets.models import Asset
from generation import attempts, services, transitions
from generation.engines.base import EngineError
from generation.errors import AlreadyEnded
from generation.models import Attempt, Job, JobEvent
from generation.scheduling.claims import Claimant, claim
from mutoscope.accounts.selectors import Access
from tests.generation.samples import PAID, at_once, expire, finishing, kinds, running, submit, unsaved_clip


def cancel_move(job: Job) -> bool:
    return transitions.move(
        job.pk,
        JobEvent.Kind.CANCELLED,
        come_from=Job.ACTIVE,
        to=Job.State.CANCELLED,
        outcome=Attempt.Outcome.CANCELLED,
    )


def test_a_move_says_whether_this_call_made_it(access: Access) -> None:
    job = submit(access)
    assert cancel_move(job) is True
    assert cancel_move(job) is False
    assert kinds(job) == ["queued", "cancelled"]


def test_a_move_from_another_state_is_none(access: Access) -> None:
    job = submit(access)
    moved = transitions.move(
        job.pk, JobEvent.Kind.FINISHING, come_from={Job.State.RUNNING}, to=Job.State.FINISHING
    )
    job.refresh_from_db()
    assert (moved, job.state, kinds(job)) == (False, "queued", ["queued"])


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_of_many_who_cancel_at_once_one_does_it(access: Access) -> None:
    job = submit(access)
    assert sorted(at_once(*[lambda: cancel_move(job)] * 8)) == [False] * 7 + [True]
    assert kinds(job) == ["queued", "cancelled"]


def test_cancelling_twice_is_no_error_and_one_event(access: Access) -> None:
    job = submit(access)
    assert services.cancel(access, job.pk).state == "cancelled"
    assert services.cancel(access, job.pk).state == "cancelled"
    assert kinds(job) == ["queued", "cancelled"]


def test_cancelling_closes_the_attempt(access: Access) -> None:
    job = running(access)
    services.cancel(access, job.pk)
    attempt = job.attempts.get()
    assert attempt.outcome == Attempt.Outcome.CANCELLED
    assert attempt.ended_at is not None
    assert not attempts.is_held(job)


@pytest.mark.parametrize("state", ["succeeded", "failed"])
def test_what_has_ended_is_not_cancelled(access: Access, state: str) -> None:
    job = finishing(access)
    if state == "failed":
        attempts.fail(job, "bad", "it was bad")
    else:
        attempts.succeed(job, unsaved_clip(job))
    with pytest.raises(AlreadyEnded, match=f"this one is {state}"):
        services.cancel(access, job.pk)
    job.refresh_from_db()
    assert job.state == state


def test_success_is_clip_job_attempt_and_event_together(access: Access) -> None:
    job = finishing(access)
    clip = unsaved_clip(job)
    attempts.succeed(job, clip)
    job.refresh_from_db()
    assert (job.state, job.output, job.lease_expires_at, job.progress) == ("succeeded", clip, None, 1.0)
    assert job.ended_at is not None
    assert job.attempts.get().outcome == Attempt.Outcome.SUCCEEDED
    assert kinds(job) == ["queued", "started", "finishing", "succeeded"]


def lose_lease(job: Job, access: Access) -> None:
    expire(job)


def lose_to_another(job: Job, access: Access) -> None:
    """The attempt is given back behind the worker's back, and another worker has the job."""
    assert attempts.give_back(job, "lost", "lost")
    assert claim([PAID], Claimant("w2")) is not None


def lose_to_cancel(job: Job, access: Access) -> None:
    services.cancel(access, job.pk)


LOSSES = pytest.mark.parametrize("lose", [lose_lease, lose_to_another, lose_to_cancel])


def facts(job: Job) -> Any:
    row = Job.objects.values().get(pk=job.pk)
    return row, kinds(job), list(Attempt.objects.filter(job=job).values("number", "outcome", "reason", "ended_at"))


def test_the_moments_of_an_attempt_do_not_move_with_when_they_are_told(access: Access) -> None:
    job = running(access)
    attempts.start_finishing(job, {}, steps=8, after=2.75)
    attempts.note_engine_started(job, memory_plan="full", first_step=0, after=0.5)  # told last, and twice
    attempts.note_engine_started(job, memory_plan="full", first_step=0, after=0.5)
    attempt = job.attempts.get()
    assert attempt.engine_started_at == attempt.claimed_at + timedelta(seconds=0.5)
    assert attempt.engine_ended_at == attempt.claimed_at + timedelta(seconds=2.75)


@LOSSES
def test_a_stale_attempt_changes_nothing_while_running(access: Access, lose: Any) -> None:
    job = running(access)
    lose(job, access)
    before = facts(job)
    assert not attempts.renew(job)
    assert attempts.is_held(job) is False
    assert attempts.note_progress(job, 0.7) is False
    with pytest.raises(attempts.Lost):
        attempts.start_finishing(job, {}, steps=8)
    assert attempts.fail(job, "bad", "bad") is False
    assert attempts.give_back(job, "bad", "bad") is False
    attempts.settle_error(job, EngineError("bad", "bad", "user"))
    attempts.settle_error(job, EngineError("bad", "bad", "machine"))
    assert facts(job) == before


@LOSSES
def test_a_stale_attempt_publishes_no_clip(access: Access, lose: Any) -> None:
    job = finishing(access)
    lose(job, access)
    before = facts(job)
    with pytest.raises(attempts.Lost):
        attempts.succeed(job, unsaved_clip(job))
    assert facts(job) == before
    assert not Asset.objects.filter(kind="video").exists()


def test_a_lease_is_renewed_for_whoever_holds_it(access: Access) -> None:
    held, lost = running(access), running(access)
    expire(lost)
    before = dict(Job.objects.values_list("pk", "lease_expires_at"))
    assert attempts.renew(held)
    assert not attempts.renew(lost)
    after = dict(Job.objects.values_list("pk", "lease_expires_at"))
    assert after[held.pk] > before[held.pk]
    assert after[lost.pk] == before[lost.pk]


def test_the_fault_of_the_person_ends_the_job_and_ours_does_not(access: Access) -> None:
    theirs, ours = running(access), running(access)
    attempts.settle_error(theirs, EngineError("bad_picture", "the picture is upside down", "user"))
    attempts.settle_error(ours, EngineError("oom", "out of memory", "machine"))
    for job in (theirs, ours):
        job.refresh_from_db()
    assert (theirs.state, theirs.error_code, theirs.error_message) == (
        "failed", "bad_picture", "the picture is upside down",
    )  # fmt: skip
    assert (ours.state, ours.error_code, ours.progress, ours.lease_expires_at) == ("queued", "", 0.0, None)
    assert [a.outcome for a in (theirs.attempts.get(), ours.attempts.get())] == ["failed", "returned"]


def test_after_its_last_attempt_a_job_fails_with_the_reason(access: Access, settings: Any) -> None:
    settings.JOB_MAX_ATTEMPTS = 2
    job = running(access)
    assert attempts.give_back(job, "oom", "out of memory")
    again = claim([PAID], Claimant("w2"))
    assert again is not None
    assert (again.pk, again.attempt) == (job.pk, 2)
    assert list(job.attempts.values_list("number", flat=True)) == [1, 2]
    assert attempts.give_back(again, "oom", "out of memory")
    job.refresh_from_db()
    assert (job.state, job.error_code, job.error_message) == ("failed", "oom", "out of memory (tried 2 times)")
    assert kinds(job) == ["queued", "started", "returned", "started", "failed"]
