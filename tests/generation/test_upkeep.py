"""`manage.py upkeep` as a process."""

from __future__ import annotations

import psutil
import pytest
from django.utils import timezone

from generation.models import Job
from mutoscope.accounts.selectors import Access
from tests.conftest import RunManage, wait_for, wait_for_state
from tests.generation.samples import expire, running, submit

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True, serialized_rollback=True)]


def test_it_recovers_jobs_while_the_broker_is_away(access: Access, manage: RunManage) -> None:
    job, overdue = running(access), submit(access)
    expire(job)
    Job.objects.filter(pk=overdue.pk).update(deadline=timezone.now())
    with manage("upkeep", REDIS_URL="redis://127.0.0.1:1/0"):
        wait_for_state(job, "queued")
        wait_for_state(overdue, "failed")


def test_it_keeps_time_by_itself_and_leaves_nothing_running_when_it_is_killed(
    access: Access, manage: RunManage
) -> None:
    job = running(access)
    expire(job)
    with manage("upkeep") as upkeep:
        wait_for_state(job, "queued")
        family = psutil.Process(upkeep.pid).children(recursive=True)
        upkeep.kill()
        upkeep.wait()
        wait_for(lambda: not any(process.is_running() for process in family), seconds=5, what="their end")
