"""Weights read ahead: the disk works while the engine's process is still busy importing its packages.

An engine imports for some seconds before it opens the first file, and then waits for the disk. So a worker that
starts has the system read the files into its cache meanwhile, where the engine finds them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

import psutil

from generation.engines.base import EngineSetup

log = logging.getLogger(__name__)

SHARE = 0.5
"""Of the main memory that is free: larger weights would push each other out of the cache again."""
PIECE = 8 * 2**20
"""Bytes that are read at once."""


def weight_files(setup: EngineSetup) -> list[Path]:
    """The files that the engine will load: each part of a pipeline has a folder of its own."""
    if setup.weights is None:
        return []
    part, single = setup.single_file or ("", None)
    files = [file for file in setup.weights.glob("*/*.safetensors") if file.parent.name != part]
    return sorted([*files, single] if single else files)


def read_ahead(setup: EngineSetup) -> threading.Thread:
    """Begin to read the weights into the system's cache. Whoever needs that to be over joins the thread."""
    thread = threading.Thread(target=_read, args=(weight_files(setup),), name="read-ahead", daemon=True)
    thread.start()
    return thread


def _read(files: Sequence[Path]) -> None:
    piece = bytearray(PIECE)
    try:
        if sum(file.stat().st_size for file in files) > SHARE * psutil.virtual_memory().available:
            return
        for file in files:
            with file.open("rb", buffering=0) as opened:
                while opened.readinto(piece):
                    pass
    except OSError as error:  # the engine will meet it, too, and says what to do
        log.debug("the weights were not read ahead: %s", error)
