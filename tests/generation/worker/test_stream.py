"""Frames between the engine and the finish stage: the ring, and the stream over it."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from generation.engines.base import Cancelled
from generation.engines.frames import RING_BYTES, FrameRing, RingSink
from generation.worker.stream import Abandoned, FrameStream, Made

WIDTH, HEIGHT = 8, 4


def picture(value: int) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), value, np.uint8)


def no_sound(samples: np.ndarray, rate: int) -> None:
    raise AssertionError("nobody makes a sound here")


def test_a_ring_is_bounded_however_long_the_clip() -> None:
    ring = FrameRing.create(1920, 1080, frames=300)
    try:
        assert ring.slots * ring.frame_bytes <= RING_BYTES
        assert ring.slots >= 2
    finally:
        ring.close()


def test_frames_pass_through_a_small_ring_in_order() -> None:
    ring = FrameRing.create(WIDTH, HEIGHT, frames=3)
    room = threading.Semaphore(ring.slots)
    stream = FrameStream(ring, 10, on_taken=room.release)
    sink = RingSink(
        FrameRing(os.dup(ring.descriptor), WIDTH, HEIGHT, ring.slots),
        stream.written,
        lambda _: room.acquire(),
        no_sound,
    )

    def make() -> None:
        for value in range(10):
            sink.write(picture(value))
        stream.complete(Made({}, 1, 0.0))

    with ThreadPoolExecutor(1) as engine:
        made = engine.submit(make)
        seen = [bytes(frame) for frame in stream]
        stream.wait_until_complete()
        made.result()
    assert seen == [bytes(picture(value)) for value in range(10)]
    ring.close()


def test_the_rings_memory_is_there_before_the_first_frame() -> None:
    ring = FrameRing.create(1280, 720, frames=8)
    sink = RingSink(ring, lambda _: None, lambda _: None, no_sound)
    sink.close()
    block = 512
    assert os.fstat(ring.descriptor).st_blocks * block >= ring.slots * ring.frame_bytes
    ring.close()


@pytest.mark.parametrize(
    "frame", [np.zeros((HEIGHT, WIDTH, 4), np.uint8), np.zeros((HEIGHT, WIDTH, 3), np.float32)]
)
def test_a_frame_of_another_shape_or_type_is_refused(frame: np.ndarray) -> None:
    ring = FrameRing.create(WIDTH, HEIGHT, frames=2)
    sink = RingSink(ring, lambda _: None, lambda _: None, no_sound)
    with pytest.raises(ValueError, match=r"a frame must be uint8 of shape \(4, 8, 3\), but is"):
        sink.write(frame)
    assert sink.written == 0
    sink.close()
    ring.close()


def test_a_cancel_reaches_an_engine_that_waits_for_room() -> None:
    def cancelled(_: int) -> None:
        raise Cancelled

    ring = FrameRing.create(WIDTH, HEIGHT, frames=2)
    sink = RingSink(ring, lambda _: None, cancelled, no_sound)
    with pytest.raises(Cancelled):
        sink.write(picture(1))
    sink.close()
    ring.close()


def test_an_abandoned_stream_ends_its_reader_and_a_complete_one_stays_complete() -> None:
    ring = FrameRing.create(WIDTH, HEIGHT, frames=2)
    stream = FrameStream(ring, 2, on_taken=lambda _: None)
    with ThreadPoolExecutor(1) as finish:
        reading = finish.submit(list, stream)
        stream.abandon()
        with pytest.raises(Abandoned):
            reading.result(5)
    complete = FrameStream(ring, 2, on_taken=lambda _: None)
    complete.complete(Made({}, 1, 0.0))
    complete.abandon()
    complete.wait_until_complete()
    ring.close()
