"""Frames on disk: each comes back as it was, in any order; a full disk is the machine's fault."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from generation.engines.base import EngineError
from generation.outputs.encoding.spool import Spool

FRAME = 1000


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path, FRAME)
    yield spool
    spool.close()


def frames(count: int) -> Iterator[bytes]:
    return (bytes([index]) * FRAME for index in range(count))


def test_frames_come_back_in_any_order(spool: Spool) -> None:
    assert list(spool.keep(frames(4))) == list(frames(4))
    assert [bytes(frame)[:1] for frame in spool.replay([3, 0, 0, 2])] == [b"\3", b"\0", b"\0", b"\2"]


def test_frames_can_be_kept_after_others_were_looked_at(spool: Spool) -> None:
    coming = frames(4)
    kept = spool.keep(coming)
    next(kept)
    next(kept)
    assert [frame[0] for frame in spool.replay([1])] == [1]
    list(spool.keep(coming))
    assert [frame[0] for frame in spool.replay(range(4))] == [0, 1, 2, 3]


def test_a_full_disk_is_the_machines_fault(spool: Spool) -> None:
    before, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2500, before[1]))
    try:
        with pytest.raises(EngineError, match="could not be kept on disk") as caught:
            list(spool.keep(frames(4)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert (caught.value.code, caught.value.blame) == ("spool_full", "machine")
