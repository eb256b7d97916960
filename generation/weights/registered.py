"""Adapters that operators have registered from a hub: whether they are on this machine, and bringing them here."""

from __future__ import annotations

from pathlib import Path

from django.core.management.base import OutputWrapper

from generation.models import Adapter
from generation.weights import folders
from generation.weights.errors import WeightsError
from generation.weights.hubs import hub
from generation.weights.lora_file import NotALora, inspect
from generation.weights.needs import HubName, Need
from generation.weights.pull import bring


def hub_files(adapter: Adapter) -> tuple[Path, Path | None]:
    """Where the adapter's files from the hub must lie, for the one expert and for the second if there is one."""
    folder = folders.hub_adapter_folder(adapter.huggingface, adapter.revision)
    return folder / adapter.hub_file, folder / adapter.hub_low_noise_file if adapter.hub_low_noise_file else None


def pull_adapter(adapter: Adapter, out: OutputWrapper) -> None:
    """Bring the adapter's files here; an adapter without a revision is pinned to the newest, for all machines.

    Raises `WeightsError`.
    """
    if not adapter.huggingface:
        raise WeightsError(f"{adapter.name} was uploaded: workers fetch it from the storage by themselves")
    if not adapter.revision:
        newest = hub(HubName.HUGGINGFACE).newest(adapter.huggingface)
        Adapter.objects.filter(pk=adapter.pk, revision="").update(revision=newest)
        adapter.refresh_from_db()
        out.write(f"{adapter.name} is pinned to {adapter.revision}")
    files = [file for file in hub_files(adapter) if file]
    folder = folders.hub_adapter_folder(adapter.huggingface, adapter.revision)
    patterns = tuple(str(file.relative_to(folder)) for file in files)
    bring([Need(HubName.HUGGINGFACE, adapter.huggingface, folder, adapter.revision, patterns)], adapter.name, out)
    for file in files:
        _check(adapter, file, out)


def _check(adapter: Adapter, file: Path, out: OutputWrapper) -> None:
    try:
        with file.open("rb") as source:
            facts = inspect(source, file.stat().st_size)
    except NotALora as error:
        file.unlink()  # no worker must take it for one
        raise WeightsError(f"{file.name} of {adapter.huggingface} cannot be used: {error}") from error
    out.write(f"{file.name}: a LoRA of {facts}")
