"""A fleet of real workers: run, killed, drained and counted as `fleet.toml` wants it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.core.management import CommandError, call_command

from assets.models import Asset
from generation import services, workers
from generation.models import Job, Worker
from generation.services import JobRequest
from mutoscope.accounts.selectors import Access
from tests.conftest import RunManage, wait_for, wait_for_state

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True, serialized_rollback=True)]

TWO = """
[[hosts]]
names = ["box"]
{spot}
[[hosts.workers]]
model = "still"
lanes = {first}

[[hosts.workers]]
model = "still"
lanes = {second}
"""


@pytest.fixture
def fleet_file(tmp_path: Path, settings: Any) -> Path:
    """Two workers on the host `box`: one for paid work alone, one for everything."""
    path = tmp_path / "fleet.toml"
    settings.FLEET_FILE, settings.WORKER_HOST = str(path), "box"
    settings.WORKER_REPORT_INTERVAL = timedelta(seconds=1)
    write(path)
    return path


def write(path: Path, first: str = '["paid"]', second: str = '["paid", "free", "batch"]', spot: str = "") -> None:
    path.write_text(TWO.format(first=first, second=second, spot=spot))


@pytest.fixture
def fleet(manage: RunManage, fleet_file: Path) -> Iterator[subprocess.Popen[str]]:
    """`manage.py fleet up`, with both workers loaded."""
    with up(manage, fleet_file) as process:
        wait_for(lambda: states() == {"still-1": "idle", "still-2": "idle"}, what="the start of both workers")
        yield process


def up(manage: RunManage, path: Path, **environment: str) -> Any:
    return manage("fleet", "up", "--host", "box", FLEET_FILE=str(path), WORKER_REPORT_SECONDS="0.5", **environment)


def states() -> dict[str, str]:
    """What each worker last said of itself, by its name on the host."""
    return {row.name.partition("@")[0]: row.state for row in Worker.objects.all()}


def submit(access: Access, picture: Asset, tier: str = "paid", prompt: str = "", **wishes: Any) -> Job:
    return services.submit(
        access, JobRequest(model="still", picture=picture.pk, tier=tier, prompt=prompt, **wishes)
    )


def status(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str]:
    """The exit code of `fleet status`, and what it says."""
    capsys.readouterr()
    try:
        call_command("fleet", "status", *options)
    except SystemExit as end:
        return int(str(end.code)), capsys.readouterr().out
    return 0, capsys.readouterr().out


def test_each_worker_serves_its_lanes_and_one_that_dies_comes_back(
    fleet: subprocess.Popen[str],
    manage: RunManage,
    access: Access,
    picture: Asset,
    capsys: pytest.CaptureFixture[str],
) -> None:
    free, paid = submit(access, picture, "free"), submit(access, picture, "paid")
    wait_for_state(free, "succeeded")
    wait_for_state(paid, "succeeded")
    assert free.attempts.get().worker == "still-2@box"  # the other one is dedicated to paid work

    wait_for(lambda: set(states().values()) == {"idle"})
    code, said = status(capsys)
    assert code == 0, said
    assert said.splitlines()[0].split()[:5] == ["HOST", "GPU", "WORKER", "LANES", "STATE"]
    assert ["box", "–", "still-2", "paid,free,batch", "idle"] in [row.split()[:5] for row in said.splitlines()]

    killed = Worker.objects.get(name="still-2@box")
    os.kill(killed.pid, signal.SIGKILL)
    after = submit(access, picture, "free")
    with manage("upkeep"):  # the ticket may have gone to the killed one
        wait_for_state(after, "succeeded")
    again = Worker.objects.get(name="still-2@box")
    assert again.pid != killed.pid
    assert again.started_at > killed.started_at

    fleet.terminate()
    assert fleet.wait(20) == 0
    assert states() == {"still-1": "stopped", "still-2": "stopped"}
    code, said = status(capsys)
    assert code == 1
    assert said.count("missing") == 2


def test_drained_workers_stop_and_stay_stopped_until_taken_back(
    fleet: subprocess.Popen[str], access: Access, picture: Asset, capsys: pytest.CaptureFixture[str]
) -> None:
    job = submit(access, picture, "batch", "pause=0.2", steps=10)
    wait_for_state(job, "running")
    wait_for(lambda: Worker.objects.filter(job=job, step__gt=0).exists(), what="the report of a step")
    rows = {row["worker"]: row for row in json.loads(status(capsys, "--json")[1])}
    assert (rows["still-2@box"]["state"], rows["still-2@box"]["job"], rows["still-2@box"]["steps"]) == (
        "working",
        str(job.pk),
        10,
    )

    call_command("fleet", "drain", "--host", "box", "--model", "still", "--wait")
    assert "2 running workers are asked to drain." in capsys.readouterr().out
    assert set(states().values()) == {"stopped"}
    job.refresh_from_db()
    assert job.state in {"succeeded", "queued"}  # ended in time, or given back
    code, said = status(capsys)
    assert (code, said.count("drained")) == (0, 2)
    wait_for(lambda: len(psutil.Process(fleet.pid).children()) == 0)

    call_command("fleet", "drain", "--undo")
    assert "2 workers may run again." in capsys.readouterr().out
    wait_for(lambda: set(states().values()) == {"idle"}, what="the return of both")
    wait_for_state(job, "succeeded")


def test_sighup_takes_the_file_over_unless_it_is_wrong(fleet: subprocess.Popen[str], fleet_file: Path) -> None:
    before = {row.name: row.pid for row in Worker.objects.all()}
    fleet_file.write_text("hosts = 7")
    fleet.send_signal(signal.SIGHUP)
    write(fleet_file, second='["free"]')
    wait_for(lambda: fleet.poll() is None)
    fleet.send_signal(signal.SIGHUP)
    wait_for(
        lambda: Worker.objects.filter(name="still-2@box", lanes=["still.free"], state="idle").exists(),
        what="the change of lanes",
    )
    assert Worker.objects.get(name="still-1@box").pid == before["still-1@box"]
    assert not psutil.pid_exists(before["still-2@box"])


def test_what_a_killed_fleet_leaves_ends_by_itself(fleet: subprocess.Popen[str]) -> None:
    processes = psutil.Process(fleet.pid).children(recursive=True)
    assert len([p for p in processes if "worker" in p.cmdline()]) == 2
    fleet.kill()
    fleet.wait()
    _, alive = psutil.wait_procs(processes, timeout=20)
    assert not alive


def test_who_cannot_start_is_told_why_and_tried_again(
    manage: RunManage, fleet_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet_file.write_text(
        '[[hosts]]\nnames = ["*"]\ngpus = 64\n[[hosts.workers]]\nmodel = "still"\ngpus = [63]\n', "utf-8"
    )
    log = tmp_path / "fleet.log"
    with up(manage, fleet_file):
        wait_for(lambda: "2 times in a row; it starts again in 2 s" in log.read_text(), what="the second try")
    assert "still-gpu63@box ended (exit code 1: CommandError: this machine has no GPU" in log.read_text()
    code, said = status(capsys)
    assert code == 1
    assert "never seen" in said


def test_a_worker_that_is_in_no_file_is_shown(
    manage: RunManage, fleet_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def by_hand(*arguments: str) -> Any:
        return manage("worker", "--model", "still", *arguments, WORKER_REPORT_SECONDS="0.5", WORKER_HOST="box")

    with by_hand("--lanes", "free"), by_hand("--lanes", "still.paid", "--spot"):
        idle = workers.alive_workers().filter(state="idle")
        wait_for(lambda: idle.count() == 2, what="the start of both")
        code, said = status(capsys, "--json")
    rows = {(row["wanted"], row["state"], row["note"]) for row in json.loads(said)}
    # The one for paid work is as good as the one in the file; the other is one too many, and one is missing.
    good, missing, extra = (True, "idle", ""), (True, "missing", "never seen"), (False, "idle", "not in the file")
    assert (code, rows) == (1, {good, missing, extra})
    assert Worker.objects.filter(is_spot=True, lanes=["still.paid"]).exists()


def test_two_workers_of_one_name_are_one_too_many(manage: RunManage, tmp_path: Path) -> None:
    def named() -> Any:
        return manage("worker", "--model", "still", "--name", "a", WORKER_REPORT_SECONDS="0.5", WORKER_HOST="box")

    with named() as first:
        wait_for(lambda: states() == {"a": "idle"}, what="the start")
        with named() as second:
            assert second.wait(20) == 1
        assert f"a@box runs already, as process {first.pid} on box" in (tmp_path / "worker.log").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "nobody"], "must be one of .*still.*, but is 'nobody'"),
        (["--model", "still", "--lanes", "paid,gold"], "must be one of paid, free, batch, but is 'gold'"),
        (["--model", "still", "--lanes", "paid,still.paid"], "still.paid stands twice"),
        (["--model", "still", "--gpu", "63"], "this machine has no GPU"),
        (["--model", "still", "--name", "a b"], "up to 50 letters"),
    ],
)
def test_a_worker_that_is_asked_wrongly_says_so(arguments: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        call_command("worker", *arguments)


def test_a_fleet_command_that_is_asked_wrongly_says_so(fleet_file: Path) -> None:
    refused: list[tuple[list[str], str]] = [
        (["up", "--host", "elsewhere"], r"fleet.toml has no host 'elsewhere'; it has box \(choose with --host"),
        (["drain", "--host", "box"], "no such worker is known; known are none"),
    ]
    for arguments, said in refused:
        with pytest.raises(CommandError, match=said):
            call_command("fleet", *arguments)
    fleet_file.unlink()
    for verb in ("up", "status"):
        with pytest.raises(CommandError, match=r"there is no fleet file .*; copy fleet.example.toml"):
            call_command("fleet", verb)
