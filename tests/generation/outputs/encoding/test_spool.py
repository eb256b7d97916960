"""Frames on disk: each comes back as it was, in any order; a full disk is the machine's fault."""

from __future__ import annotations

import resource
import signal
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from generation.engines.base import EngineError
from generation.outputs.encoding import Form, Source, Target, encode
from generation.outputs.encoding.spool import Spool
from tests.generation.outputs.encoding.pictures import Frame, moving

FRAME = 1000


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path, FRAME)
    yield spool
    spool.close()


def frames(count: int) -> Iterator[bytes]:
    return (bytes([index]) * FRAME for index in range(count))


def begun(spool: Spool, order: Iterable[int]) -> list[int]:
    """What the frames of that order begin with."""
    return [frame[0] for frame in spool.replay(order, threading.Event())]


def test_frames_come_back_in_any_order(spool: Spool) -> None:
    spool.keep(frames(4))
    assert begun(spool, [3, 0, 0, 2]) == [3, 0, 0, 2]


def test_frames_are_waited_for(spool: Spool) -> None:
    with ThreadPoolExecutor(1) as reader:
        found = reader.submit(begun, spool, range(3))
        spool.keep(frames(2))
        assert not found.done()
        spool.keep([bytes([2]) * FRAME])
        assert found.result(timeout=10) == [0, 1, 2]


def test_who_waits_can_be_stopped(spool: Spool) -> None:
    stopped = threading.Event()
    with ThreadPoolExecutor(1) as reader:
        found = reader.submit(list, spool.replay([0], stopped))
        stopped.set()
        spool.wake()
        assert found.result(timeout=10) == []


def test_a_full_disk_is_the_machines_fault(spool: Spool) -> None:
    before, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2500, before[1]))
    try:
        with pytest.raises(EngineError, match="could not be kept on disk") as caught:
            spool.keep(frames(4))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert (caught.value.code, caught.value.blame) == ("spool_full", "machine")


def test_frames_are_taken_as_fast_as_they_come(tmp_path: Path) -> None:
    """Nobody waits for a slow encoder: when the last frame was taken, ffmpeg has not even read half of them."""
    source, read = Source(320, 180, 24, 24), []
    ready = list(moving(source))

    def made_at_once() -> Iterator[Frame]:
        yield from ready
        (encoder,) = (child for child in psutil.Process().children() if "ffmpeg" in child.name())
        read.append(encoder.io_counters().read_chars)

    encode(made_at_once(), source, [Target(tmp_path / "clip.mp4", Form("mp4", "best", fps=60))])
    assert read[0] < source.frames * ready[0].nbytes / 2
