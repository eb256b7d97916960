"""The worker's frame ring with a reader behind it, in a process of its own as the finish stage's is.

The reader takes every frame out of the ring as it is announced and writes it to nowhere, as ffmpeg's pipe would
take it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from generation.engines.frames import FrameRing, RingSink


@contextmanager
def drained_ring(width: int, height: int, frames: int) -> Iterator[RingSink]:
    """A sink whose frames are read while the engine still writes."""
    ring = FrameRing.create(width, height, frames)
    command = [sys.executable, "-m", "bench.ring", *map(str, (ring.descriptor, width, height, ring.slots))]
    reader = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, pass_fds=[ring.descriptor]
    )
    assert reader.stdin is not None
    assert reader.stdout is not None
    told, heard = reader.stdin, reader.stdout
    heard.readline()  # it is ready
    read = 0

    def announce(written: int) -> None:
        told.write(f"{written}\n")

    def wait_for_room(index: int) -> None:
        nonlocal read
        while index >= read + ring.slots:
            read = int(heard.readline())

    def keep_sound(samples: Any, rate: int) -> None: ...

    sink = RingSink(ring, announce, wait_for_room, keep_sound)
    try:
        yield sink
    finally:
        sink.close()
        told.close()
        reader.wait()
        heard.close()
        ring.close()


def main() -> None:
    """The reader: hears how many frames are written, says how many it has read."""
    descriptor, width, height, slots = map(int, sys.argv[1:])
    ring = FrameRing(descriptor, width, height, slots)
    read = 0
    with Path(os.devnull).open("wb", buffering=0) as nowhere:
        print("ready", flush=True)
        for line in sys.stdin:
            while read < int(line):
                with ring.slot(read) as frame:
                    nowhere.write(bytes(frame))
                read += 1
                print(read, flush=True)


if __name__ == "__main__":
    main()
