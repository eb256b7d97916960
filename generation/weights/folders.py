"""Where weights lie on this machine: one folder a repository, under `MODELS_FOLDER`."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from generation.catalog.schema import Adapter, Model


def repository_folder(repository: str) -> Path:
    """The folder of a hub's repository, such as `Lightricks--LTX-Video-0.9.5`."""
    return Path(settings.MODELS_FOLDER) / repository.replace("/", "--")


def weights_folder(model: Model) -> Path | None:
    """The folder with the model's pipeline in the layout of diffusers; None for models without weights."""
    weights = model.weights
    if weights is None:
        return None
    return Path(weights.folder) if weights.folder else repository_folder(weights.huggingface or weights.modelscope)


def single_file(model: Model) -> tuple[str, Path] | None:
    """The file that takes the place of a part of the pipeline, and the name of that part."""
    single = model.weights.single_file if model.weights else None
    return (single.part, repository_folder(single.huggingface) / single.file) if single else None


def adapter_files(adapter: Adapter) -> tuple[Path, Path | None]:
    """The files of an adapter that a preset needs: for the one expert, and for the second if there is one."""
    folder = repository_folder(adapter.huggingface)
    return folder / adapter.file, folder / adapter.low_noise_file if adapter.low_noise_file else None


def registered_adapter_file(storage_name: str) -> Path:
    """Where this machine keeps its copy of an adapter's file that an operator has uploaded."""
    return Path(settings.MODELS_FOLDER) / storage_name


def hub_adapter_folder(repository: str, revision: str) -> Path:
    """The folder of an adapter that an operator has registered from a hub: of one commit, for good."""
    return Path(settings.MODELS_FOLDER) / "adapters" / f"{repository.replace('/', '--')}@{revision}"
