"""What operators do with adapters: register them, change them, remove them.

An uploaded file is kept as `adapters/NAME/DIGEST.safetensors` in the default storage, so that a name never stands
for other content: DIGEST is the first half of its sha256.
"""

from __future__ import annotations

import hashlib
import re
from functools import partial
from math import isfinite
from pathlib import PurePosixPath

from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models.fields.files import FieldFile

from generation import catalog
from generation.models import Adapter, Job
from generation.weights.lora_file import LoraFacts, NotALora, inspect
from mutoscope.errors import Conflict, Refusal

FILES = ("file", "low_noise_file")
DIGITS = 32
"""Hexadecimal digits of a digest in a file's name: 128 bits, far more than chance can double."""
LARGEST_STRENGTH = 10.0
"""Far above what any adapter makes sense of; it keeps out infinity and slips of the keyboard."""


class UnfitAdapter(Refusal):
    """The adapter cannot be registered as it is."""

    code = "adapter_unfit"


class AdapterInUse(Conflict):
    """Jobs that have not ended name the adapter."""

    code = "adapter_in_use"


def models_with_adapters() -> list[tuple[str, str]]:
    """Slugs and names of the models that take adapters."""
    return [(slug, model.name) for slug, model in catalog.models().items() if model.lora]


def check(adapter: Adapter) -> list[LoraFacts]:
    """What its uploaded files are, none of a hub. Raises `UnfitAdapter` with the field at fault."""
    unknown = sorted(set(adapter.models_allowed) - {slug for slug, _ in models_with_adapters()})
    if unknown or not adapter.models_allowed:
        there = ", ".join(slug for slug, _ in models_with_adapters()) or "none"
        said = ", ".join(unknown) or "none"
        message = f"models must be some of those that take adapters ({there}), but are {said}"
        raise UnfitAdapter(message, field="models_allowed")
    _check_strengths(adapter)
    if bool(adapter.file) == bool(adapter.huggingface):
        raise UnfitAdapter("an adapter needs either a file or a repository on a hub", field="file")
    if adapter.huggingface:
        _check_hub(adapter)
        return []
    for name in ("revision", "hub_file", "hub_low_noise_file"):
        if getattr(adapter, name):
            raise UnfitAdapter("this goes with a repository on a hub alone", field=name)
    return [facts for name in FILES if (facts := _facts(adapter, name))]


def _check_strengths(adapter: Adapter) -> None:
    lowest, usual, highest = adapter.min_strength, adapter.default_strength, adapter.max_strength
    if not all(isfinite(number) and abs(number) <= LARGEST_STRENGTH for number in (lowest, usual, highest)):
        raise UnfitAdapter(
            f"strengths must lie between -{LARGEST_STRENGTH:g} and {LARGEST_STRENGTH:g}, "
            f"but are {lowest:g}, {usual:g} and {highest:g}",
            field="min_strength",
        )
    if not lowest <= usual <= highest:
        raise UnfitAdapter(
            "min strength ≤ default strength ≤ max strength must hold, "
            f"but they are {lowest:g}, {usual:g} and {highest:g}",
            field="default_strength",
        )


def _check_hub(adapter: Adapter) -> None:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", adapter.huggingface):
        raise UnfitAdapter(f"must be like owner/name, but is {adapter.huggingface!r}", field="huggingface")
    if not adapter.hub_file:
        raise UnfitAdapter("which file of the repository?", field="hub_file")
    if adapter.low_noise_file:
        raise UnfitAdapter("name the repository's second file instead", field="low_noise_file")
    for name in ("hub_file", "hub_low_noise_file"):
        path = PurePosixPath(getattr(adapter, name))
        if path.name and (path.is_absolute() or ".." in path.parts or path.suffix != ".safetensors"):
            raise UnfitAdapter(f"must be a .safetensors file in the repository, but is {str(path)!r}", field=name)


def _facts(adapter: Adapter, name: str) -> LoraFacts | None:
    """What a file is that has just been uploaded; None for one that was here before."""
    file: FieldFile = getattr(adapter, name)
    if not _is_new(file):
        return None
    try:
        return inspect(file.file, file.size)
    except NotALora as error:
        raise UnfitAdapter(str(error), field=name) from error


def _is_new(file: FieldFile) -> bool:
    return bool(file) and not file._committed  # type: ignore[attr-defined]  # Django tells nowhere else


def register(adapter: Adapter) -> list[LoraFacts]:
    """Keep the adapter, new or changed, and its files. Returns what new files are. Raises `UnfitAdapter`."""
    facts = check(adapter)
    for name in FILES:
        _store(adapter, name)
    with transaction.atomic():
        before = Adapter.objects.filter(pk=adapter.pk).first()
        adapter.save()
        _discard(before, kept={getattr(adapter, name).name for name in FILES})
    return facts


def _store(adapter: Adapter, name: str) -> None:
    """Put a new file into the storage, unless the very same is there."""
    file: FieldFile = getattr(adapter, name)
    if not _is_new(file):
        return
    file.seek(0)
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    wanted = f"adapters/{adapter.pk}/{digest.hexdigest()[:DIGITS]}.safetensors"
    if default_storage.exists(wanted):
        setattr(adapter, name, wanted)
    else:
        file.seek(0)
        setattr(adapter, name, default_storage.save(wanted, file.file))


def in_use(name: str) -> int:
    """How many jobs that have not ended name the adapter."""
    return Job.objects.filter(state__in=Job.ACTIVE, adapters__contains=[{"name": name}]).count()


def remove(adapter: Adapter) -> None:
    """Remove the adapter and its files. Raises `AdapterInUse`."""
    jobs = in_use(adapter.pk)
    if jobs:
        raise AdapterInUse(
            f"the adapter {adapter.pk} cannot be removed yet: jobs that have not ended name it ({jobs}); "
            "disable it, so that no more of them come"
        )
    with transaction.atomic():
        before = Adapter.objects.filter(pk=adapter.pk).first()
        adapter.delete()
        _discard(before, kept=set())


def _discard(before: Adapter | None, *, kept: set[str | None]) -> None:
    """Remove the files of an adapter's earlier state once the change is committed. Workers have copies."""
    if before is None:
        return
    for stored in {getattr(before, name).name for name in FILES} - kept - {"", None}:
        transaction.on_commit(partial(default_storage.delete, stored))
