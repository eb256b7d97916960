"""Stopped and killed workers: the next one goes on from the checkpoint, to the very same clip."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from django.core.files.storage import default_storage

from generation import services
from generation.models import Job
from generation.services import JobRequest
from mutoscope.accounts.selectors import Access
from tests.conftest import RunManage, wait_for, wait_for_state

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True, serialized_rollback=True)]

GRACE = 3.0
OFTEN = {"CHECKPOINT_INTERVAL_SECONDS": "0.3", "WORKER_GRACE_SECONDS": str(GRACE)}
SELDOM = {"CHECKPOINT_INTERVAL_SECONDS": "1000", "WORKER_GRACE_SECONDS": str(GRACE)}
STEPS = 40


def submit(access: Access, prompt: str) -> Job:
    return services.submit(access, JobRequest(model="still", mode="t2v", prompt=prompt, steps=STEPS, seed=11))


def undisturbed(access: Access, manage: RunManage, prompt: str) -> str:
    """The state that the same request ends in when nobody interferes."""
    job = submit(access, prompt)
    with manage("worker", "--model", "still"):
        wait_for_state(job, "succeeded")
    return str(job.recipe["state"])


def wait_for_progress(job: Job, progress: float) -> None:
    wait_for(lambda: Job.objects.get(pk=job.pk).progress >= progress, what="progress")


def wait_for_checkpoint(job: Job) -> None:
    wait_for(lambda: Job.objects.get(pk=job.pk).checkpoint, what="a checkpoint")


def ends_within(worker: subprocess.Popen[str], seconds: float) -> float:
    began = time.monotonic()
    assert worker.wait(seconds) == 0
    return time.monotonic() - began


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_worker_gives_its_job_back_at_the_step(
    access: Access, manage: RunManage, stop: signal.Signals
) -> None:
    job = submit(access, "pause=0.25")
    with manage("worker", "--model", "still", **SELDOM) as worker:
        wait_for_progress(job, 0.1)
        worker.send_signal(stop)
        ends_within(worker, GRACE + 3)
    job.refresh_from_db()
    assert (job.state, job.failures, job.attempts.get().outcome) == ("queued", 0, "returned")
    first = job.checkpoint_step
    assert 0 < first < STEPS
    assert job.progress > 0
    returned = job.events.get(kind="returned")
    assert returned.message == f"the worker was stopped; it goes on after step {first} of {STEPS}"
    assert default_storage.exists(job.checkpoint)


def test_the_clip_of_a_preempted_job_is_the_same(access: Access, manage: RunManage) -> None:
    prompt = "pause=0.1"
    expected = undisturbed(access, manage, prompt)
    job = submit(access, prompt)
    with manage("worker", "--model", "still", **{**SELDOM, "WORKER_GRACE_SECONDS": "1"}) as worker:
        wait_for_progress(job, 0.1)
        worker.terminate()
        ends_within(worker, 1 + 3)
    first = Job.objects.get(pk=job.pk).checkpoint_step
    with manage("worker", "--model", "still"):
        wait_for_state(job, "succeeded")
    assert job.recipe["state"] == expected
    assert [(a.first_step, a.steps) for a in job.attempts.all()] == [(0, first), (first, STEPS - first)]


def test_a_killed_worker_costs_what_came_after_the_last_checkpoint(access: Access, manage: RunManage) -> None:
    prompt = "pause=0.1"
    expected = undisturbed(access, manage, prompt)
    job = submit(access, prompt)
    with manage("upkeep"):
        with manage("worker", "--model", "still", **OFTEN) as worker:
            wait_for_progress(job, 0.3)
            wait_for_checkpoint(job)
            os.kill(worker.pid, signal.SIGKILL)
            worker.wait()
        with manage("worker", "--model", "still", **OFTEN):
            wait_for_state(job, "succeeded")
    assert job.recipe["state"] == expected
    lost, second = job.attempts.all()
    assert lost.outcome == "lost"
    assert second.first_step > 0
    assert second.steps == STEPS - second.first_step
    assert len(_stored_checkpoints(job)) <= 1, "older ones are removed"


def test_an_engine_that_hangs_is_killed_when_the_grace_is_over(access: Access, manage: RunManage) -> None:
    job = submit(access, "pause=0.1 hang")
    with manage("worker", "--model", "still", **{**OFTEN, "WORKER_GRACE_SECONDS": "2"}) as worker:
        wait_for(lambda: Job.objects.get(pk=job.pk).checkpoint_step >= STEPS // 2 - 5, what="half of the way")
        worker.terminate()
        ends_within(worker, 2 + 3)
    job.refresh_from_db()
    assert (job.state, job.failures) == ("queued", 0)
    assert 0 < job.checkpoint_step <= STEPS // 2


@pytest.mark.parametrize("damage", ["missing", "broken"])
def test_a_checkpoint_of_no_use_costs_time_and_not_the_job(access: Access, manage: RunManage, damage: str) -> None:
    prompt = "pause=0.05"
    expected = undisturbed(access, manage, prompt)
    job = submit(access, prompt)
    with manage("worker", "--model", "still", **{**SELDOM, "WORKER_GRACE_SECONDS": "0.5"}) as worker:
        wait_for_progress(job, 0.1)
        worker.terminate()
        ends_within(worker, 0.5 + 3)
    job.refresh_from_db()
    stored = Path(default_storage.path(job.checkpoint))
    if damage == "missing":
        stored.unlink()
    else:
        stored.write_bytes(stored.read_bytes()[:-1])
    with manage("worker", "--model", "still"):
        wait_for_state(job, "succeeded")
    assert job.recipe["state"] == expected
    assert [a.outcome for a in job.attempts.all()] == ["returned", "succeeded"]
    assert job.attempts.last().first_step == 0  # type: ignore[union-attr]
    assert _stored_checkpoints(job) == []


def test_a_ticket_that_comes_while_the_worker_stops_is_put_back(access: Access, manage: RunManage) -> None:
    first, second = submit(access, "pause=0.1"), submit(access, "")
    with manage("worker", "--model", "still", **{**SELDOM, "WORKER_GRACE_SECONDS": "1"}) as worker:
        wait_for_progress(first, 0.1)
        worker.terminate()
        ends_within(worker, 1 + 3)
    for job in (first, second):
        job.refresh_from_db()
        assert job.state == "queued"
    with manage("worker", "--model", "still"):  # no upkeep that would send tickets again
        wait_for_state(first, "succeeded")
        wait_for_state(second, "succeeded")


def _stored_checkpoints(job: Job) -> list[str]:
    folder = Path(default_storage.path(f"checkpoints/{job.pk}"))
    return [path.name for path in folder.glob("*")]


def test_a_worker_that_is_told_again_and_again_while_it_starts_ends_with_its_engine(manage: RunManage) -> None:
    with manage("worker", "--model", "still") as worker:
        wait_for(lambda: len(psutil.Process(worker.pid).children(recursive=True)) > 1, what="the engine's start")
        children = psutil.Process(worker.pid).children(recursive=True)
        for _ in range(40):
            worker.terminate()
            time.sleep(0.02)
        ends_within(worker, 10)
        _, alive = psutil.wait_procs(children, timeout=5)
        assert not alive


def test_an_idle_worker_stops_at_once(access: Access, manage: RunManage) -> None:
    job = submit(access, "")
    with manage("worker", "--model", "still") as worker:
        wait_for_state(job, "succeeded")
        time.sleep(2)
        worker.terminate()
        ends_within(worker, 5)
