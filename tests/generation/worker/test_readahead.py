"""Weights are in the system's cache by the time that the engine asks for them."""

from __future__ import annotations

import ctypes
import mmap
import os
from pathlib import Path
from typing import Any

import psutil
import pytest

from generation.engines.base import EngineSetup
from generation.worker.readahead import read_ahead, weight_files

SIZE = 64 * 2**20
"""Of a file: more than systems read ahead by themselves."""


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Two parts of a pipeline on the disk, and out of the cache."""
    for name in ("transformer/model-1.safetensors", "vae/model.safetensors"):
        file = tmp_path / name
        file.parent.mkdir()
        file.write_bytes(os.urandom(SIZE))
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if any(is_cached(file) for file in weight_files(EngineSetup(weights=tmp_path))):
        pytest.skip("this folder lies in main memory")
    return tmp_path


def is_cached(file: Path) -> bool:
    """Whether more than a half of it lies in main memory. Asking reads nothing."""
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY) as mapped:
        start = ctypes.c_char.from_buffer(mapped)
        pages = (ctypes.c_ubyte * (SIZE // mmap.PAGESIZE))()
        failed = ctypes.CDLL(None).mincore(ctypes.c_void_p(ctypes.addressof(start)), ctypes.c_size_t(SIZE), pages)
        del start  # else the mapping cannot be closed
        assert not failed
        return sum(page & 1 for page in pages) > len(pages) / 2


def test_files_are_read_into_the_cache(weights: Path) -> None:
    setup = EngineSetup(weights=weights)
    read_ahead(setup).join()
    assert [is_cached(file) for file in weight_files(setup)] == [True, True]


def test_weights_that_would_push_each_other_out_are_left_to_the_engine(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Memory:
        available = 3 * SIZE

    monkeypatch.setattr(psutil, "virtual_memory", Memory)
    setup = EngineSetup(weights=weights)
    read_ahead(setup).join()
    assert [is_cached(file) for file in weight_files(setup)] == [False, False]


def test_a_single_file_takes_the_place_of_its_part(tmp_path: Path) -> None:
    for name in ("pipe/transformer/a.safetensors", "pipe/vae/b.safetensors", "pipe/all-in-one.safetensors", "c"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    pipe, single = tmp_path / "pipe", tmp_path / "c"
    assert weight_files(EngineSetup(weights=pipe)) == [
        pipe / "transformer" / "a.safetensors", pipe / "vae" / "b.safetensors",
    ]  # fmt: skip
    replaced = weight_files(EngineSetup(weights=pipe, single_file=("transformer", single)))
    assert replaced == [single, pipe / "vae" / "b.safetensors"]
    assert weight_files(EngineSetup()) == []


def test_missing_weights_are_for_the_engine_to_tell(tmp_path: Path, caplog: Any) -> None:
    setup = EngineSetup(weights=tmp_path / "nowhere", single_file=("transformer", tmp_path / "gone"))
    read_ahead(setup).join()
    assert caplog.records == [] or caplog.records[0].levelname == "DEBUG"
