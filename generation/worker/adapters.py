"""The adapters of a job as files on this machine: its preset's first, then those that it names itself."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from django.core.files.storage import default_storage

from generation import catalog
from generation.adapter_registry import DIGITS
from generation.engines.base import AdapterUse, EngineError
from generation.models import Adapter, Job
from generation.weights import folders
from generation.weights.registered import hub_files
from generation.worker.leases import Hold
from generation.worker.patience import patiently

CHUNK = 2**20
"""Bytes that are copied at once."""
ABANDONED_SECONDS = 3600.0
"""A copy that nothing was added to for so long is nobody's any more."""


def fetch(hold: Hold) -> tuple[AdapterUse, ...]:
    """The job's adapters. What operators have uploaded is copied from the storage once a machine, and stays here.

    Raises `EngineError`: of the user where an adapter was taken away after the job was accepted, so that there is
    no retry; of the machine where a file is not here. Raises `attempts.Lost` where copying takes too long.
    """
    return (*_of_the_preset(hold.job), *_of_the_job(hold))


def _of_the_preset(job: Job) -> Iterable[AdapterUse]:
    model = catalog.models().get(job.model)
    preset = model.preset(job.preset) if model and job.preset else None
    if model is None or preset is None:
        return
    for adapter in model.adapters:
        if adapter.name in preset.adapters:
            file, low_noise_file = folders.adapter_files(adapter)
            _must_be_here(adapter.name, [file, low_noise_file], f"models pull {model.slug}")
            yield AdapterUse(adapter.name, file, adapter.strength, low_noise_file)


def _of_the_job(hold: Hold) -> Iterable[AdapterUse]:
    wishes: list[tuple[str, float]] = [(wish["name"], wish["strength"]) for wish in hold.job.adapters]
    if not wishes:
        return
    registered = hold.insist(lambda: Adapter.objects.in_bulk([name for name, _ in wishes]))
    for name, strength in wishes:
        adapter = registered.get(name)
        if adapter is None:
            raise _taken_away(f"the adapter {name} was removed before the job could begin")
        if not adapter.is_enabled:
            raise _taken_away(f"the adapter {name} was disabled before the job could begin")
        if hold.job.model not in adapter.models_allowed:
            raise _taken_away(f"the adapter {name} is no longer for the model {hold.job.model}")
        file, low_noise_file = _from_hub(adapter) if adapter.huggingface else _from_storage(hold, adapter)
        yield AdapterUse(name, file, strength, low_noise_file)


def _taken_away(message: str) -> EngineError:
    return EngineError("adapter_gone", message, "user")


def _from_hub(adapter: Adapter) -> tuple[Path, Path | None]:
    file, low_noise_file = hub_files(adapter)
    _must_be_here(adapter.name, [file, low_noise_file], f"adapters pull {adapter.name}")
    return file, low_noise_file


def _must_be_here(name: str, files: Iterable[Path | None], command: str) -> None:
    for file in files:
        if file is not None and not file.is_file():
            raise EngineError(
                "adapter_missing",
                f"the adapter {name} needs {file}, which is not on this machine; "
                f"pull it with: manage.py {command}",
                "machine",
            )


def _from_storage(hold: Hold, adapter: Adapter) -> tuple[Path, Path | None]:
    return (
        _copied(hold, adapter, str(adapter.file)),
        _copied(hold, adapter, str(adapter.low_noise_file)) if adapter.low_noise_file else None,
    )


def _copied(hold: Hold, adapter: Adapter, stored: str) -> Path:
    """The local copy of a file whose name is its digest: whole, or not there. Workers may make it at once."""
    target = folders.registered_adapter_file(stored)
    if target.is_file():
        return target
    part = target.with_name(f"{target.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.part")

    def copy() -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target.parent)
        digest = hashlib.sha256()
        with default_storage.open(stored, "rb") as source, part.open("wb") as file:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest()[:DIGITS] != target.stem:
            raise OSError(f"{stored} arrived damaged")
        part.replace(target)

    try:
        patiently(copy, wanted=hold.is_certain, what=f"the adapter {adapter.name}")
    except FileNotFoundError as error:
        raise EngineError(
            "adapter_missing", f"the file of the adapter {adapter.name} is missing in the storage", "machine"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return target


def _sweep(folder: Path) -> None:
    """Remove what workers that were killed in mid-copy have left."""
    for part in folder.glob("*.part"):
        with suppress(FileNotFoundError):  # its worker, or another sweeper, was faster
            if time.time() - part.stat().st_mtime > ABANDONED_SECONDS:
                part.unlink()
