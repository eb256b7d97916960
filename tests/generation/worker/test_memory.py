"""Memory that an engine's process holds: what is its own, and what only looks as if it were."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from generation.worker.memory import DriftWatch, footprint

FORKS = """
import os, sys, time
held = bytearray(os.urandom(1)) * (64 * 2**20)
for _ in range(4):
    if os.fork() == 0:
        own = bytearray(b"x") * (int(sys.argv[1]) * 2**20)
        print("forked", flush=True)
        time.sleep(60)
        os._exit(0)
sys.stdin.read()
"""


@contextmanager
def four_forks(own_mib: int) -> Iterator[int]:
    """A process that holds 64 MiB and has four children, each with the same ones and some of its own."""
    with subprocess.Popen(
        [sys.executable, "-c", FORKS, str(own_mib)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
    ) as process:
        assert process.stdout is not None
        for _ in range(4):
            process.stdout.readline()
        try:
            yield process.pid
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_what_forks_have_in_common_counts_once() -> None:
    with four_forks(0) as pid:
        assert 64 <= footprint(pid).main < 2 * 64


def test_what_children_take_themselves_counts() -> None:
    with four_forks(32) as pid:
        assert 64 + 4 * 32 <= footprint(pid).main < 4 * 64


def test_growth_of_the_gpus_memory_is_drift() -> None:
    held = iter([1000, 1100, 1101])
    with four_forks(0) as pid:
        watch = DriftWatch(100, lambda pids: next(held))
        assert [watch.has_drifted(pid) for _ in range(3)] == [False, False, True]
    assert not watch.has_drifted(pid), "it has ended"
