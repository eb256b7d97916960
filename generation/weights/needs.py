"""What a model needs from hubs: its pipeline, a file that takes a part's place, the adapters of its presets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path

from generation.catalog.schema import Adapter, Model, Weights
from generation.weights import folders
from generation.weights.errors import WeightsError


class HubName(StrEnum):
    """Where weights are published."""

    HUGGINGFACE = "huggingface"
    MODELSCOPE = "modelscope"


@dataclass(frozen=True, slots=True)
class Need:
    """Files of one repository. No revision is the one that was pulled first; no patterns are all files."""

    hub: HubName
    repository: str
    folder: Path
    revision: str = ""
    patterns: tuple[str, ...] = ()


def needs_of(model: Model, hub: str = "") -> list[Need]:
    """What is to be fetched for the model, each repository once; its pipeline from the named hub.

    A pipeline in a local folder is the operator's, and fetched from nowhere. Raises `WeightsError`.
    """
    weights = model.weights
    found: list[Need] = []
    if weights is not None and not weights.folder:
        found.append(_pipeline(model, weights, hub))
    if weights is not None and weights.single_file:
        single = weights.single_file
        found.append(_from_huggingface(single.huggingface, single.revision, (single.file,)))
    found += [_of_adapter(adapter) for adapter in model.adapters]
    return _merged(found)


def matches(path: str, patterns: Sequence[str]) -> bool:
    """Whether a repository's file is meant by the patterns, as hubs read them: `*` crosses folders."""
    globs = (f"{pattern}*" if pattern.endswith("/") else pattern for pattern in patterns)
    return not patterns or any(fnmatchcase(path, glob) for glob in globs)


def _pipeline(model: Model, weights: Weights, hub: str) -> Need:
    chosen = HubName(hub) if hub else HubName.HUGGINGFACE if weights.huggingface else HubName.MODELSCOPE
    repository, revision = (
        (weights.huggingface, weights.revision)
        if chosen == HubName.HUGGINGFACE
        else (weights.modelscope, weights.modelscope_revision)
    )
    if not repository:
        other = HubName.MODELSCOPE if chosen == HubName.HUGGINGFACE else HubName.HUGGINGFACE
        raise WeightsError(f"the catalog knows no weights of {model.name} on {chosen}; take --from {other}")
    folder = folders.repository_folder(weights.huggingface or weights.modelscope)
    return Need(chosen, repository, folder, revision, tuple(weights.files))


def _of_adapter(adapter: Adapter) -> Need:
    files = tuple(file for file in (adapter.file, adapter.low_noise_file) if file)
    return _from_huggingface(adapter.huggingface, adapter.revision, files)


def _from_huggingface(repository: str, revision: str, files: tuple[str, ...]) -> Need:
    return Need(HubName.HUGGINGFACE, repository, folders.repository_folder(repository), revision, files)


def _merged(needs: Iterable[Need]) -> list[Need]:
    """The needs with those of one folder joined. Raises `WeightsError` where they want different commits."""
    by_folder: dict[Path, Need] = {}
    for need in needs:
        there = by_folder.setdefault(need.folder, need)
        if (there.hub, there.revision) != (need.hub, need.revision):
            raise WeightsError(
                f"the catalog wants {need.repository} at {need.revision or 'the newest commit'} ({need.hub}) and "
                f"at {there.revision or 'the newest commit'} ({there.hub}), but a folder holds one commit"
            )
        is_all = not (there.patterns and need.patterns)
        joined = () if is_all else tuple(dict.fromkeys(there.patterns + need.patterns))
        by_folder[need.folder] = replace(there, patterns=joined)
    return list(by_folder.values())
