"""What becomes of jobs by their clips: published with the check, made once more, or failed and refunded."""

from __future__ import annotations

import pytest

from billing import ledger
from generation import attempts, audit, services
from generation.engines.base import EngineError
from generation.models import Attempt, ClipCheck, Job
from generation.outputs.quality import verdict_on
from generation.outputs.quality.check import BrokenClip, Check
from mutoscope.accounts.selectors import Access
from tests.generation.samples import expire, kinds, unsaved_clip
from tests.generation.samples import finishing as finishing_still
from tests.generation.test_settlement import PRICE, claimed, finishing

BLACK = Check(verdict_on(["black"]), {"black": 1.0})
DOUBTFUL = Check(verdict_on(["flickers"]), {"flicker": 7.5})


def again(job: Job) -> Job:
    """The job's next attempt, about to be published."""
    job = claimed()
    attempts.start_finishing(job, {}, steps=8)
    return job


def test_a_clip_is_published_with_its_check(access: Access) -> None:
    job = finishing_still(access)
    clip = unsaved_clip(job)
    attempts.succeed(job, clip, DOUBTFUL)
    attempts.succeed(job, clip, DOUBTFUL)  # said again: the answer was lost on its way
    check = ClipCheck.objects.get()
    assert (check.job, check.attempt, check.asset, check.seed) == (job, 1, clip, job.seed)
    assert (check.verdict, check.problems, check.measured) == ("doubtful", ["flickers"], {"flicker": 7.5})


def test_a_broken_clip_is_made_once_more_from_another_seed(access: Access) -> None:
    job = finishing(access)
    Job.objects.filter(pk=job.pk).update(checkpoint="checkpoints/x", checkpoint_step=5, failures=2)
    job.failures = 2  # one more of the machine's would be the last: this one is not
    attempts.settle_error(job, BrokenClip(BLACK))
    now = Job.objects.get(pk=job.pk)
    assert (now.state, now.is_reseeded, now.failures) == ("queued", True, 2)
    assert now.seed != job.seed
    assert (now.checkpoint, now.checkpoint_step, now.progress) == ("", 0, 0.0)
    first = now.attempts.get()
    assert (first.outcome, first.error_code, first.blame) == (Attempt.Outcome.RETURNED, "clip_broken", "ours")
    event = now.events.last()
    assert event is not None
    assert event.message == (
        "the clip is black for the most part; it is made once more, "
        f"from the seed {now.seed} in place of {job.seed}"
    )
    check = ClipCheck.objects.get()
    assert (check.seed, check.asset, check.verdict, check.problems) == (
        job.seed,
        None,
        "broken",
        ["black"],
    )
    second = again(job)
    assert (second.attempt, second.seed) == (2, now.seed)
    attempts.succeed(second, unsaved_clip(second), DOUBTFUL)
    assert list(ClipCheck.objects.order_by("attempt").values_list("verdict", flat=True)) == ["broken", "doubtful"]
    assert ledger.captured([job.pk]) == {job.pk: PRICE}  # once


def test_a_clip_that_is_broken_twice_fails_and_is_refunded(access: Access) -> None:
    job = finishing(access)
    attempts.settle_error(job, BrokenClip(BLACK))
    assert ledger.balance(access.workspace.pk).held == PRICE
    second = again(job)
    attempts.settle_error(second, BrokenClip(BLACK))
    job.refresh_from_db()
    assert (job.state, job.error_code, job.attempt) == ("failed", "clip_broken", 2)
    assert job.error_message.endswith("so it was from another seed before")
    assert list(ClipCheck.objects.values_list("verdict", "asset")) == [("broken", None)] * 2
    balance = ledger.balance(access.workspace.pk)
    assert (balance.available, balance.held, ledger.captured([job.pk])) == (20_000, 0, {})
    assert list(audit.problems()) == []


def test_a_file_that_is_not_what_was_asked_for_is_a_broken_clip(access: Access) -> None:
    job = finishing(access)
    attempts.settle_error(job, EngineError("clip_broken", "the clip does not decode", "ours"))
    check = ClipCheck.objects.get()
    assert (check.verdict, check.problems, check.measured) == ("broken", ["malformed"], {})
    job.refresh_from_db()
    assert (job.state, job.is_reseeded) == ("queued", True)


@pytest.mark.parametrize("ending", ["cancelled", "lease ran out"])
def test_an_attempt_that_lost_its_job_leaves_no_check(access: Access, ending: str) -> None:
    job = finishing(access)
    if ending == "cancelled":
        services.cancel(access, job.pk)
    else:
        expire(job)
    attempts.settle_error(job, BrokenClip(BLACK))
    now = Job.objects.get(pk=job.pk)
    assert (now.seed, now.is_reseeded) == (job.seed, False)
    with pytest.raises(attempts.Lost):
        attempts.succeed(job, unsaved_clip(job), DOUBTFUL)
    assert not ClipCheck.objects.exists()


def test_what_is_said_twice_happens_once(access: Access) -> None:
    """The connection broke before the answer came."""
    job = finishing(access)
    for _ in range(2):
        attempts.settle_error(job, BrokenClip(BLACK))
    assert ClipCheck.objects.count() == 1
    assert kinds(job).count("returned") == 1


def test_operators_are_told(access: Access, caplog: pytest.LogCaptureFixture) -> None:
    attempts.settle_error(finishing(access), BrokenClip(BLACK))
    assert "zoetrope: clip_broken" in caplog.text
