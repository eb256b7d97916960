"""The proof itself: a sound history is accepted, and each thing that must not be is found."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from assets.models import Asset
from billing import grants, ledger
from generation import attempts, catalog, services
from generation.engines.base import EngineRequest, EngineSetup
from generation.engines.frames import FrameRing
from generation.engines.process import Checkpointing
from generation.models import Attempt, Flow, Job, JobEvent, Worker
from generation.outputs.encoding import MASTER, Source, Target, encode
from generation.scheduling.claims import Claimant, claim
from generation.worker.engine_process import EngineProcess
from mutoscope.accounts.selectors import Access
from tests.chaos import proof
from tests.chaos.people import Ledger
from tests.chaos.stories import Breach
from tests.generation import samples
from tests.generation.worker.test_engine_process import Follower

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, dict[str, object]]:
    """The clip that the scripted engine makes of seed 3 in 8 steps, and its recipe."""
    folder, engine = tmp_path_factory.mktemp("clip"), EngineProcess(catalog.models()["still"], EngineSetup())
    ring = FrameRing.create(64, 64, 8)
    engine.start()
    try:
        request = EngineRequest("t2v", "", 64, 64, 8, 8, seed=3, steps=8)
        recipe = engine.run(request, ring, Checkpointing(folder, 3600), Follower())
        encode((ring.slot(i) for i in range(8)), Source(64, 64, 8, 8), [Target(folder / "clip.mp4", MASTER)])
        frames = hashlib.sha256(b"".join(bytes(ring.slot(i)) for i in range(8))).hexdigest()
    finally:
        engine.kill()
    return (folder / "clip.mp4").read_bytes(), {**recipe, "frames_sha256": frames}


@pytest.fixture
def job(access: Access, clip: tuple[bytes, dict[str, object]]) -> Job:
    """A success as it should be: once given back, then made and published."""
    content, recipe = clip
    samples.submit(access, seed=3, steps=8)
    attempts.give_back(claimed(), "engine_died", "the engine process died")
    job = claimed()
    attempts.start_finishing(job, recipe, steps=8)
    asset = samples.unsaved_clip(job)
    default_storage.delete(str(asset.file))
    asset.file.save("clip.mp4", ContentFile(content), save=False)
    asset.size_bytes, asset.sha256 = len(content), hashlib.sha256(content).hexdigest()
    attempts.succeed(job, asset)
    job.refresh_from_db()
    return job


def claimed() -> Job:
    job = claim([samples.PAID], Claimant("w1"))
    assert job is not None
    return job


def breaches(*jobs: Job, cancelled: frozenset[UUID] = frozenset()) -> list[Breach]:
    ledger = Ledger({f"job-{number}": job.pk for number, job in enumerate(jobs)}, set(cancelled))
    return proof.every_breach(ledger)


def test_a_sound_history_is_accepted(job: Job) -> None:
    assert breaches(job) == []


def doubled_end(job: Job) -> None:
    JobEvent.objects.create(job=job, kind="succeeded", attempt=2, at=timezone.now())


def doubled_start(job: Job) -> None:
    job.events.filter(kind="finishing").update(kind="started")


def missing_end(job: Job) -> None:
    job.events.filter(kind="succeeded").delete()


def never_ended(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(state="queued")


def a_lease(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(lease_expires_at=timezone.now())


def a_checkpoint_in_the_row(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(checkpoint="checkpoints/x/1-4")


def a_checkpoint_in_the_storage(job: Job) -> None:
    default_storage.save(f"checkpoints/{job.pk}/1-4", ContentFile(b"state"))


def a_file_too_many(job: Job) -> None:
    default_storage.save(str(job.output.file) + "x", ContentFile(b"clip"))  # type: ignore[union-attr]


def a_file_too_few(job: Job) -> None:
    default_storage.delete(str(job.output.file))  # type: ignore[union-attr]


def a_clip_too_many(job: Job) -> None:
    clip = samples.unsaved_clip(job)
    clip.save()


def a_broken_clip(job: Job) -> None:
    Path(job.output.file.path).write_bytes(b"no clip")  # type: ignore[union-attr]


def a_step_left_out(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(recipe={"state": "00"})


def another_seeds_frames(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(seed=4)


def a_gap_in_the_attempts(job: Job) -> None:
    job.attempts.filter(number=1).delete()


def an_attempt_under_way(job: Job) -> None:
    job.attempts.filter(number=1).update(outcome=Attempt.Outcome.UNDER_WAY)


def two_successes(job: Job) -> None:
    job.attempts.update(outcome=Attempt.Outcome.SUCCEEDED)


def a_wrong_sum(job: Job) -> None:
    Flow.objects.update(waiting=1, waiting_ms=80)


def a_workspace_held_back(job: Job) -> None:
    Flow.objects.update(throttled=True)


def a_worker_at_work(job: Job) -> None:
    now = timezone.now()
    Worker.objects.create(
        name="still@host:1", host="host", pid=1, model="still", lanes=[], version="0", state="working",
        started_at=now - timedelta(hours=1), seen_at=now,
    )  # fmt: skip


def a_hold_left_open(job: Job) -> None:
    grants.grant(job.workspace_id, 5, reason="test")
    ledger.hold(job.workspace_id, job.pk, 5)


def deserved_to_fail(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(prompt="crash")


@pytest.mark.parametrize(
    ("tamper", "kind", "words"),
    [
        (doubled_end, "doubled", "ended 2 times"),
        (doubled_start, "doubled", "started must not follow on started"),
        (missing_end, "lost", "no event says so"),
        (never_ended, "lost", "has not ended"),
        (a_lease, "orphaned", "still has a lease"),
        (a_checkpoint_in_the_row, "orphaned", "still names the checkpoint"),
        (a_checkpoint_in_the_storage, "orphaned", "names the checkpoint"),
        (a_file_too_many, "orphaned", "no asset names the file"),
        (a_file_too_few, "lost", "is not in the storage"),
        (a_clip_too_many, "doubled", "belongs to no job"),
        (a_broken_clip, "wrong", "is not the one that was published"),
        (a_step_left_out, "wrong", "each step exactly once"),
        (another_seeds_frames, "wrong", "of its clip must be"),
        (a_gap_in_the_attempts, "wrong", "its attempts are [2]"),
        (an_attempt_under_way, "orphaned", "still under way"),
        (two_successes, "doubled", "all succeeded"),
        (a_wrong_sum, "wrong", "its flow says 1"),
        (a_workspace_held_back, "orphaned", "is held back"),
        (a_worker_at_work, "orphaned", "reads working"),
        (a_hold_left_open, "wrong", "its hold of 5 credits is open"),
        (deserved_to_fail, "wrong", "though its prompt was"),
    ],
)
def test_what_must_not_be_is_found(job: Job, tamper: Callable[[Job], None], kind: str, words: str) -> None:
    tamper(job)
    found = breaches(job)
    assert any(breach.kind == kind and words in breach.sentence for breach in found), found


def test_a_job_that_was_promised_and_is_gone_is_lost(job: Job) -> None:
    pk = job.pk
    Asset.objects.filter(pk=job.output_id).delete()
    Job.objects.all().delete()
    found = proof.every_breach(Ledger({"job-0": pk}, set()))
    assert any(breach.kind == "lost" and "is not in the database" in breach.sentence for breach in found)


def test_a_job_that_nobody_was_told_of_is_doubled(job: Job) -> None:
    assert [(b.kind, b.sentence.partition(" of ")[0]) for b in breaches()] == [("doubled", "nobody was told")]


def test_a_cancelled_job_must_have_been_cancelled_by_somebody(access: Access) -> None:
    job = samples.submit(access)
    services.cancel(access, job.pk)
    assert breaches(job, cancelled=frozenset({job.pk})) == []
    assert [b.sentence[:18] for b in breaches(job)] == ["nobody cancelled j"]
