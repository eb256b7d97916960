"""Scratch folders: a dead worker's is swept by whoever comes by, a living one's is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from generation.worker.scratch import Scratch
from tests.conftest import BASE_DIR


def test_an_attempts_folder_goes_with_its_workers(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    folder = scratch.for_attempt()
    (folder / "clip.mp4").write_bytes(b"clip")
    assert folder.parent == scratch.folder
    scratch.close()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_worker_left_is_swept_and_a_living_ones_is_not(tmp_path: Path) -> None:
    living = Scratch(tmp_path)
    kept = living.for_attempt()
    code = (
        "import sys, time; from pathlib import Path; from generation.worker.scratch import Scratch\n"
        "s = Scratch(Path(sys.argv[1])); (s.for_attempt() / 'clip.mp4').write_bytes(b'clip')\n"
        "print(s.folder, flush=True); time.sleep(60)"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.PIPE, text=True, cwd=BASE_DIR, env={**os.environ, "PYTHONPATH": ".:platform"},
    )  # fmt: skip
    assert worker.stdout is not None
    left = Path(worker.stdout.readline().strip())
    newcomer = Scratch(tmp_path)
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
    scratch = Scratch(tmp_path)
    scratch.sweep()
    scratch.close()
    assert list(tmp_path.iterdir()) == [young]
