"""The engine process: killed and started again on what it cannot be trusted after, gone when its worker is."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import psutil
import pytest

from generation import services
from generation.models import Job
from generation.services import JobRequest
from mutoscope.accounts.selectors import Access
from tests.conftest import RunManage, wait_for, wait_for_state

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True, serialized_rollback=True)]


def submit(access: Access, prompt: str = "", **wishes: object) -> Job:
    return services.submit(access, JobRequest(model="still", mode="t2v", prompt=prompt, **wishes))  # type: ignore[arg-type]


def loads(tmp_path: Path) -> int:
    """How often the worker has brought its engine up."""
    return len(re.findall("is loaded and warm", (tmp_path / "worker.log").read_text()))


def test_an_engine_that_ran_out_of_memory_is_started_again(
    access: Access, manage: RunManage, tmp_path: Path
) -> None:
    job, after = submit(access, "oom=always"), submit(access)
    with manage("worker", "--model", "still"):
        wait_for_state(after, "succeeded")
        wait_for(lambda: loads(tmp_path) >= 2, what="another start")
    assert after.attempt == 1
    assert job.attempts.exists()
    assert {a.reason.partition(" (")[0] for a in job.attempts.exclude(reason="")} == {
        "the prompt asked for more memory than there is"
    }


def test_an_engine_that_keeps_memory_is_started_again_between_two_jobs(
    access: Access, manage: RunManage, tmp_path: Path
) -> None:
    with manage("worker", "--model", "still"):
        # Pauses as long as the measuring's own: it is not done after each of many short jobs.
        for prompt, starts in (("", 1), ("leak=100 pause=0.7", 2), ("", 2)):
            job = submit(access, prompt)
            wait_for_state(job, "succeeded")
            wait_for(lambda starts=starts: loads(tmp_path) == starts, what=f"start {starts}")
            assert job.attempt == 1


def test_an_engine_that_dies_while_idle_is_started_again_before_the_next_ticket(
    access: Access, manage: RunManage, tmp_path: Path
) -> None:
    with manage("worker", "--model", "still") as worker:
        wait_for_state(submit(access), "succeeded")
        (engine,) = [
            child for child in psutil.Process(worker.pid).children() if "spawn_main" in " ".join(child.cmdline())
        ]
        os.kill(engine.pid, signal.SIGKILL)
        wait_for(lambda: loads(tmp_path) == 2, what="another start")
        job = submit(access)
        wait_for_state(job, "succeeded")
        assert job.attempt == 1


def test_nothing_outlives_a_killed_worker(access: Access, manage: RunManage) -> None:
    job = submit(access, "pause=0.1", steps=1000, seconds=60)
    with manage("worker", "--model", "still") as worker:
        parent = psutil.Process(worker.pid)
        wait_for(lambda: Job.objects.get(pk=job.pk).progress > 0, what="progress")
        wait_for(lambda: any("ffmpeg" in child.name() for child in parent.children()), what="an encoder")
        family = parent.children(recursive=True)
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        _, alive = psutil.wait_procs(family, timeout=5)
        assert not alive
    assert Job.objects.get(pk=job.pk).state == "running"
