"""The worker's row: written by the reporter, counted by the database's clock."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from generation import workers
from generation.models import Job, Worker
from generation.scheduling.lanes import DoubledLane, Lane, UnknownLane, lanes_of
from generation.worker import identity, report
from generation.worker.gpu import Gpu
from generation.worker.identity import Identity
from generation.worker.report import Reporter
from mutoscope.accounts.selectors import Access
from tests.conftest import wait_for
from tests.generation.samples import submit

H100 = Gpu(index=3, uuid="GPU-1", name="NVIDIA H100 80GB HBM3", total_mib=81559, used_mib=4)
PAID, FREE = Lane("still", "paid"), Lane("still", "free")


def an_identity(name: str = "a", **changes: Any) -> Identity:
    return identity.of_this_process([PAID, FREE], name=name, **changes)


def row(name: str = "a") -> Worker:
    return Worker.objects.get(name=an_identity(name).name)


def silent_for(seconds: float, name: str = "a") -> None:
    Worker.objects.filter(pk=an_identity(name).name).update(seen_at=timezone.now() - timedelta(seconds=seconds))


def test_a_worker_says_who_it_is(db: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.WORKER_HOST = "gpu-1"
    monkeypatch.setattr(report.gpu, "in_use", {3: 41000}.get)
    Reporter(an_identity(gpu=H100, is_spot=True)).report()
    found = row()
    assert (found.name, found.host, found.gpu, found.place) == ("a@gpu-1", "gpu-1", "3", "gpu-1/3")
    assert (found.gpu_name, found.vram_total_mib, found.vram_used_mib) == (H100.name, 81559, 41000)
    assert (found.model, found.lanes, found.is_spot) == ("still", ["still.paid", "still.free"], True)
    assert (found.state, found.pid, found.last_claim_at) == ("loading", os.getpid(), None)
    assert found.place == an_identity(gpu=H100).place


def test_unnamed_workers_are_named_after_model_and_process(settings: Any) -> None:
    settings.WORKER_HOST = "laptop"
    unnamed = identity.of_this_process([PAID])
    assert (unnamed.name, unnamed.place) == (f"still@laptop:{os.getpid()}", "laptop/cpu")


def test_the_row_follows_the_work(access: Access) -> None:
    job = submit(access, steps=40)
    reporter = Reporter(an_identity())
    reporter.engine_started()
    reporter.claimed()
    reporter.working(job)
    reporter.step(7, 40)
    reporter.report()
    found = row()
    assert (found.state, found.job, found.step, found.steps, found.engine_starts) == ("working", job, 7, 40, 1)
    assert found.last_claim_at is not None
    assert abs((found.last_claim_at - found.seen_at).total_seconds()) < 5

    reporter.engine_failed("the engine process died (exit code 7)")
    reporter.idle()
    reporter.report()
    found = row()
    assert (found.state, found.job, found.step) == ("idle", None, 0)
    assert found.last_error == "the engine process died (exit code 7)"

    reporter.draining()
    reporter.working(job)  # the one in hand is seen through
    reporter.report()
    assert row().state == "draining"
    reporter.stopped()
    assert (row().state, row().job) == ("stopped", None)
    assert not workers.alive_workers().exists()


def test_a_job_that_is_gone_is_no_obstacle(access: Access) -> None:
    job = submit(access)
    reporter = Reporter(an_identity())
    reporter.working(job)
    Job.objects.filter(pk=job.pk).delete()
    reporter.report()
    assert (row().state, row().job) == ("working", None)


def test_times_are_the_database_s(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    reporter = Reporter(an_identity())
    reporter.claimed()
    # This machine's calendar is a month behind; its monotonic clock is all that counts.
    monkeypatch.setattr(timezone, "now", lambda: pytest.fail("the worker's own clock was asked"))
    reporter.report()
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(abs(extract(epoch FROM now() - t))) FROM generation_worker, "
                       "unnest(ARRAY[started_at, last_claim_at, seen_at]) t")  # fmt: skip
        assert cursor.fetchone()[0] < 5


def test_a_forgotten_row_comes_back(db: None) -> None:
    reporter = Reporter(an_identity())
    reporter.report()
    Worker.objects.all().delete()
    reporter.report()
    assert row().state == "loading"


def test_a_restart_under_the_same_name_takes_the_row_over(db: None) -> None:
    old = Reporter(an_identity())
    old.claimed()
    old.stopped()
    Worker.objects.update(lanes=["still.batch"], gpu="9", started_at=timezone.now() - timedelta(days=3))
    Reporter(an_identity()).report()
    found = row()
    assert (found.state, found.lanes) == ("loading", ["still.paid", "still.free"])
    assert (found.gpu, found.last_claim_at) == ("", None)
    assert timezone.now() - found.started_at < timedelta(minutes=1)


def test_a_database_that_is_away_costs_reports_alone(
    db: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    reporter = Reporter(an_identity())
    with monkeypatch.context() as away:
        away.setattr(reporter, "_write", lambda: (_ for _ in ()).throw(OperationalError("connection refused")))
        for _ in range(3):
            reporter.report()
    reporter.report()
    assert row().state == "loading"
    assert [r.message for r in caplog.records if r.name == report.__name__] == [
        "the worker cannot report itself, and tries on: connection refused",
        "the worker reports itself again",
    ]


@pytest.fixture
def running(transactional_db: None, settings: Any) -> Iterator[Reporter]:
    """A reporter with its thread."""
    settings.WORKER_REPORT_INTERVAL = timedelta(seconds=30)
    reporter = Reporter(an_identity())
    reporter.start()
    yield reporter
    reporter.stopped()


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_change_of_state_is_told_at_once_and_steps_are_not(running: Reporter) -> None:
    wait_for(lambda: Worker.objects.filter(state="loading").exists())
    running.engine_started()
    wait_for(lambda: Worker.objects.filter(state="idle").exists(), seconds=5)  # not after the interval
    running.step(3, 9)
    threading.Event().wait(2 * report.PAUSE)
    assert row().step == 0
    running.stopped()
    assert row().state == "stopped"
    running.stopped()  # once more does nothing


def test_an_order_to_drain_ends_the_process_as_sigterm_does(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(report.os, "kill", lambda pid, number: sent.append((pid, number)))
    reporter = Reporter(an_identity())
    reporter.report()
    assert workers.request_drain(workers.matching(model="still")) == 1
    reporter.report()
    reporter.report()
    assert sent == [(os.getpid(), signal.SIGTERM)]
    assert row().state == "draining"


def test_who_is_alive(db: None, settings: Any) -> None:
    settings.WORKER_REPORT_INTERVAL = timedelta(seconds=5)
    for name in ("a", "b"):
        Reporter(an_identity(name)).report()
    silent_for(31, "b")
    assert [one.name for one in workers.alive_workers()] == [an_identity("a").name]
    assert workers.alive_workers(FREE).count() == 1
    assert workers.alive_workers(Lane("still", "batch")).count() == 0
    assert {one.worker.name.partition("@")[0]: one.is_alive for one in workers.seen()} == {"a": True, "b": False}
    assert next(one for one in workers.seen() if not one.is_alive).seen_ago >= timedelta(seconds=31)


def test_workers_unseen_for_a_day_are_forgotten(db: None) -> None:
    for name in ("a", "b"):
        Reporter(an_identity(name)).report()
    silent_for(25 * 3600, "b")
    assert workers.forget_workers() == 1
    assert [one.name for one in Worker.objects.all()] == [an_identity("a").name]


def test_a_name_belongs_to_one_running_process(db: None) -> None:
    who = an_identity()
    workers.check_name(who.name, who.host)
    Reporter(who).report()
    workers.check_name(who.name, who.host)  # our own
    Worker.objects.update(pid=os.getppid())
    with pytest.raises(workers.NameRefused, match=f"runs already, as process {os.getppid()} on"):
        workers.check_name(who.name, who.host)
    Worker.objects.update(pid=2**22 + 1)  # no process has such a number: it was killed
    workers.check_name(who.name, who.host)
    with pytest.raises(workers.NameRefused, match="runs already"):
        workers.check_name(who.name, "another-host")
    workers.request_drain(workers.matching())
    with pytest.raises(workers.NameRefused, match=r"asked to drain .* fleet drain --undo"):
        workers.check_name(who.name, who.host)


def test_lanes_are_named_by_tier_or_in_full() -> None:
    assert lanes_of("still", ["free", "still.paid"]) == [FREE, PAID]
    for names, kind, said in [
        (["gold"], UnknownLane, "must be one of paid, free, batch, but is 'gold'"),
        (["still.gold"], UnknownLane, "must be one of paid, free, batch, but is 'gold'"),
        (["preview.paid"], UnknownLane, "serves lanes of still alone, but 'preview.paid' is preview's"),
        (["nobody.paid"], UnknownLane, "must be one of .*still"),
        (["paid", "still.paid"], DoubledLane, "still.paid stands twice"),
        ([""], UnknownLane, "must be one of paid, free, batch"),
    ]:
        with pytest.raises(kind, match=said):
            lanes_of("still", names)
    with pytest.raises(UnknownLane, match=r"must be one of .*still.*, but is 'nobody'"):
        lanes_of("nobody", ["paid"])
