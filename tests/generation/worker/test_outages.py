"""The database or the broker goes away for a while: the worker stays, and nothing is lost or doubled."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connection

from assets.models import Asset
from generation import services
from generation.models import Job
from generation.services import JobRequest
from mutoscope.accounts.selectors import Access
from tests.cable import Cable
from tests.conftest import RunManage, wait_for, wait_for_state

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True, serialized_rollback=True)]


@pytest.fixture
def database() -> Iterator[Cable]:
    """The cable to PostgreSQL of those who are given `through(...)`."""

    def connect() -> socket.socket:
        end = socket.socket(socket.AF_UNIX)
        end.connect(str(Path(connection.settings_dict["OPTIONS"]["host"]) / ".s.PGSQL.5432"))
        return end

    cable = Cable(connect)
    yield cable
    cable.pull_out()


@pytest.fixture
def broker() -> Iterator[Cable]:
    address = urlsplit(settings.REDIS_URL)
    cable = Cable(lambda: socket.create_connection((address.hostname or "", address.port or 0)))
    yield cable
    cable.pull_out()


def through_database(cable: Cable) -> str:
    return f"postgresql://{connection.settings_dict['USER']}@127.0.0.1:{cable.port}/{connection.settings_dict['NAME']}"


def through_broker(cable: Cable) -> str:
    address = urlsplit(settings.REDIS_URL)
    return f"redis://:{address.password}@127.0.0.1:{cable.port}{address.path}"


def submit(access: Access, prompt: str = "", **wishes: object) -> Job:
    return services.submit(access, JobRequest(model="still", mode="t2v", prompt=prompt, **wishes))  # type: ignore[arg-type]


def test_a_job_outlives_a_database_that_is_back_within_the_lease(
    access: Access, manage: RunManage, database: Cable
) -> None:
    job = submit(access, "pause=0.2", steps=10)
    address = through_database(database)
    with manage("worker", "--model", "still", DATABASE_URL=address, JOB_LEASE_SECONDS="30") as worker:
        wait_for(lambda: Job.objects.get(pk=job.pk).progress > 0, what="progress")
        database.pull_out()
        time.sleep(5)  # its last step and the publishing fall into it
        assert Job.objects.get(pk=job.pk).state == "running"
        database.put_back()
        wait_for_state(job, "succeeded")
        after = submit(access)
        wait_for_state(after, "succeeded")
        assert worker.poll() is None
    assert job.attempts.get().steps == 10
    assert Asset.objects.filter(kind="video").count() == 2


def test_a_job_is_left_to_others_once_its_lease_may_have_run_out(
    access: Access, manage: RunManage, database: Cable
) -> None:
    job = submit(access, "pause=0.2", steps=60)
    address = through_database(database)
    with manage("upkeep"), manage("worker", "--model", "still", DATABASE_URL=address) as worker:
        wait_for(lambda: Job.objects.get(pk=job.pk).progress > 0, what="progress")
        database.pull_out()
        wait_for_state(job, "queued", seconds=10)
        Job.objects.filter(pk=job.pk).update(prompt="")
        database.put_back()
        wait_for_state(job, "succeeded", seconds=40)
        assert worker.poll() is None
    assert [a.outcome for a in job.attempts.all()] == ["lost", "succeeded"]
    assert Asset.objects.filter(kind="video").count() == 1


def test_a_broker_that_is_back_is_listened_to_again(access: Access, manage: RunManage, broker: Cable) -> None:
    under_way = submit(access, "pause=0.3", steps=20)
    address = through_broker(broker)
    with manage("upkeep"), manage("worker", "--model", "still", REDIS_URL=address) as worker:
        wait_for(lambda: Job.objects.get(pk=under_way.pk).progress > 0, what="progress")
        broker.pull_out()
        wait_for_state(under_way, "succeeded")  # nobody needs the broker for what is in hand
        time.sleep(10)
        waiting = submit(access)
        broker.put_back()
        wait_for_state(waiting, "succeeded", seconds=40)
        again = submit(access)
        wait_for_state(again, "succeeded")
        assert worker.poll() is None
    assert {a.number for job in (under_way, waiting, again) for a in job.attempts.all()} == {1}
