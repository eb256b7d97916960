"""Scratch folders: a dead worker's is swept by whoever comes by, a living one's is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from generation.scheduling.lanes import Lane
from generation.worker import runtime
from generation.worker.identity import of_this_process
from generation.worker.scratch import Scratch
from tests.conftest import BASE_DIR


def opened(root: Path) -> Scratch:
    scratch = Scratch(root)
    scratch.open()
    return scratch


def test_an_attempts_folder_goes_with_its_workers(tmp_path: Path) -> None:
    scratch = opened(tmp_path)
    folder = scratch.for_attempt()
    (folder / "clip.mp4").write_bytes(b"clip")
    assert folder.parent == scratch.folder
    scratch.close()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_worker_left_is_swept_and_a_living_ones_is_not(tmp_path: Path) -> None:
    living = opened(tmp_path)
    kept = living.for_attempt()
    code = (
        "import sys, time; from pathlib import Path; from generation.worker.scratch import Scratch\n"
        "s = Scratch(Path(sys.argv[1])); s.open(); (s.for_attempt() / 'clip.mp4').write_bytes(b'clip')\n"
        "print(s.folder, flush=True); time.sleep(60)"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.PIPE, text=True, cwd=BASE_DIR, env={**os.environ, "PYTHONPATH": ".:platform"},
    )  # fmt: skip
    assert worker.stdout is not None
    left = Path(worker.stdout.readline().strip())
    newcomer = opened(tmp_path)
    assert newcomer.sweep() == 0
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    assert list(left.rglob("clip.mp4"))
    assert newcomer.sweep() == 1
    assert not left.exists()
    assert kept.exists()
    newcomer.close()
    living.close()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_never_got_its_name_is_swept_when_it_is_old(tmp_path: Path) -> None:
    young, old = tmp_path / "1-a.new", tmp_path / "2-b.new"
    for nameless in (young, old):
        nameless.touch()
    os.utime(old, (0, 0))
    scratch = opened(tmp_path)
    scratch.sweep()
    scratch.close()
    assert list(tmp_path.iterdir()) == [young]


def test_closing_removes_what_was_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal may come at any moment of opening."""
    Scratch(tmp_path).close()  # nothing was
    for step in ("rename", "mkdir"):
        scratch = Scratch(tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(Path, step, leave)
            with pytest.raises(SystemExit):
                scratch.open()
        scratch.close()
        assert list(tmp_path.iterdir()) == []


def leave(*_: object, **__: object) -> None:
    raise SystemExit(0)


@pytest.mark.django_db
def test_a_worker_that_is_stopped_before_it_has_begun_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "read_ahead", leave)
    worker = runtime.Runtime(of_this_process([Lane("still", "paid")]), scratch=tmp_path)
    with pytest.raises(SystemExit):
        worker.start()
    assert list(tmp_path.iterdir())
    worker.stop()
    assert list(tmp_path.iterdir()) == []
