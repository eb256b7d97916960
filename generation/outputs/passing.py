"""Frames on their way from the engine to the encoder: cropped, looked at, marked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from generation.models import Job
from generation.outputs.orders import crop_of
from generation.outputs.quality.check import Checker
from generation.outputs.watermark.keys import current_key
from generation.worker.stream import FrameStream


class Hash(Protocol):
    """What is told all bytes in their order, as those of `hashlib` are."""

    def update(self, data: memoryview, /) -> None: ...


def finished_frames(stream: FrameStream, job: Job, checker: Checker, digest: Hash) -> Iterator[memoryview]:
    """The frames of the job's clip, height × width × 3, RGB, uint8, each with the watermark that names it.

    `checker` sees each before it is marked, and so does `digest`: clips of one recipe differ by their marks alone.
    What the engine makes beyond the clip's length is let go. Raises
    `Abandoned`.
    """
    # Not before frames are to be looked at: they bring numpy and OpenCV with them.
    from numpy import frombuffer, uint8

    from generation.outputs.watermark.embedding import Embedder

    crop = crop_of(job)
    embedder = Embedder(job.mark, job.width, job.height, key=current_key())
    for index, frame in enumerate(stream):
        if index >= job.frames:
            continue
        with crop.apply(frame) as shown:
            pixels = frombuffer(shown, uint8).reshape(job.height, job.width, 3)
            digest.update(shown)
            checker.see(pixels)
            marked = embedder.apply(pixels)
            del pixels  # it would hold on to the ring's memory
        yield marked.data
