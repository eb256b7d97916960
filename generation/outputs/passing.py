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
    from numpy.typing import NDArray

    from generation.outputs.watermark.embedding import Embedder

    crop = crop_of(job)

    def looked_at() -> Iterator[NDArray[uint8]]:
        for index, frame in enumerate(stream):
            if index >= job.frames:
                continue
            with crop.apply(frame) as shown:
                digest.update(shown)
                # A copy, since the ring's memory is used again before the frame is marked.
                pixels = frombuffer(shown, uint8).reshape(job.height, job.width, 3).copy()
            checker.see(pixels)
            yield pixels

    embedder = Embedder(job.mark, job.width, job.height, key=current_key())
    for marked in embedder.laid_on(looked_at()):
        yield marked.data
