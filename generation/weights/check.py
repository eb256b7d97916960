"""Whether a model's weights are on this machine, whole, and whether a GPU here holds them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

from generation import licences
from generation.catalog import fitting
from generation.catalog.schema import Model
from generation.weights import folders, manifest
from generation.weights.errors import WeightsError
from generation.weights.needs import Need, needs_of
from generation.worker.gpu import Gpu

INDEX = "model_index.json"
"""Where diffusers lists a pipeline's parts."""


class Presence(StrEnum):
    """How much of a model's weights is on this machine."""

    NONE_NEEDED = "none needed"
    COMPLETE = "complete"
    LOCAL = "local folder"
    OUTDATED = "another revision"
    PARTIAL = "partial"
    MISSING = "missing"


def presence(model: Model) -> Presence:
    """What is on this machine, by the manifests and the sizes of the files; no content is read."""
    weights = model.weights
    if weights is None:
        return Presence.NONE_NEEDED
    found = {_presence_of(need) for need in _needs(model)}
    if weights.folder:
        is_there = Path(weights.folder).is_dir()
        found.add(Presence.COMPLETE if is_there else Presence.MISSING)
    if len(found) == 1:
        (only,) = found
        return Presence.LOCAL if weights.folder and only == Presence.COMPLETE else only
    return Presence.OUTDATED if Presence.OUTDATED in found else Presence.PARTIAL


def problems(model: Model, gpus: Iterable[Gpu], *, deep: bool = False) -> list[str]:
    """Everything that keeps the model from running on this machine, each as a sentence.

    `deep` reads every file and compares its SHA-256.
    """
    found: list[str] = []
    refusal = licences.refusal(model)
    if refusal:
        found.append(refusal)
    for need in _needs(model):
        try:
            found += _of_need(model, need, deep)
        except WeightsError as error:
            found.append(str(error))
    found += _of_pipeline(model)
    found += _of_gpus(model, list(gpus))
    return found


def _needs(model: Model) -> list[Need]:
    """The needs as they were pulled: from whichever hub the manifest of the folder names."""
    needs = needs_of(model)
    for position, need in enumerate(needs):
        try:
            there = manifest.read(need.folder)
            others = needs_of(model, there.hub) if there and there.hub != need.hub else []
        except WeightsError:
            continue  # told where the folder itself is looked at
        needs[position] = next((other for other in others if other.folder == need.folder), need)
    return needs


def _presence_of(need: Need) -> Presence:
    try:
        there = manifest.read(need.folder)
    except WeightsError:
        return Presence.PARTIAL
    if there is None or not there.covers(need.patterns):
        return Presence.PARTIAL if _has_content(need.folder) else Presence.MISSING
    if need.revision and need.revision != there.revision:
        return Presence.OUTDATED
    wanted = there.meant_by(need.patterns)
    right = [path for path, file in wanted.items() if manifest.size_of(need.folder / path) == file.size]
    if len(right) == len(wanted):
        return Presence.COMPLETE
    return Presence.PARTIAL if right or _has_content(need.folder) else Presence.MISSING


def _has_content(folder: Path) -> bool:
    return folder.is_dir() and any(entry.name != manifest.NAME for entry in folder.iterdir())


def _of_need(model: Model, need: Need, deep: bool) -> Iterator[str]:
    pull = f"`manage.py models pull {model.slug}`"
    there = manifest.read(need.folder)
    if there is None or not there.covers(need.patterns):
        yield f"{need.repository} has not been pulled to {need.folder}; {pull} does it"
        return
    if need.revision and need.revision != there.revision:
        yield (
            f"{need.folder} holds the revision {there.revision}, but the catalog wants {need.revision}; "
            f"{pull} fetches it"
        )
    for path, file in there.meant_by(need.patterns).items():
        size = manifest.size_of(need.folder / path)
        if size is None:
            yield f"{need.folder / path} is missing; {pull} fetches it"
        elif size != file.size:
            yield f"{need.folder / path} must have {file.size} bytes, but has {size}; {pull} fetches it anew"
        elif deep and file.sha256:
            actual = manifest.sha256_of(need.folder / path)
            if actual != file.sha256:
                yield (
                    f"{need.folder / path} is damaged: its SHA-256 must be {file.sha256}, but is {actual}; "
                    f"{pull} --deep fetches it anew"
                )


def _of_pipeline(model: Model) -> Iterator[str]:
    """What the pipeline says of its own parts."""
    folder = folders.weights_folder(model)
    if folder is None:
        return
    if not folder.is_dir():
        if model.weights and model.weights.folder:
            yield f"the folder {folder} of the catalog's weights is not there"
        return
    try:
        index: Any = json.loads((folder / INDEX).read_text("utf-8"))
    except FileNotFoundError:
        yield f"{folder} has no {INDEX}, so it is no pipeline in the layout of diffusers"
        return
    except (ValueError, OSError) as error:
        yield f"{folder / INDEX} cannot be read: {error}"
        return
    replaced = folders.single_file(model)
    for part in _parts(index):
        if replaced and replaced[0] == part:
            continue
        if not (folder / part).is_dir() or not any((folder / part).iterdir()):
            yield f"{folder / INDEX} names the part {part}, but {folder / part} is not there"
        elif model.weights and model.weights.folder:
            yield from _missing_shards(folder / part)


def _parts(index: Any) -> list[str]:
    """The pipeline's parts: pairs of library and class; other values are the pipeline's own settings."""
    if not isinstance(index, dict):
        return []
    return [
        name
        for name, value in index.items()
        if isinstance(value, list) and len(value) == 2 and all(value) and not name.startswith("_")
    ]


def _missing_shards(part: Path) -> Iterator[str]:
    """Files that an index of shards names and that are not there: where no manifest tells what must be."""
    for path in sorted(part.glob("*.index.json")):
        try:
            named = set(json.loads(path.read_text("utf-8"))["weight_map"].values())
        except (ValueError, OSError, KeyError, AttributeError, TypeError) as error:
            yield f"{path} cannot be read: {error}"
            continue
        for shard in sorted(named):
            if not (part / shard).is_file():
                yield f"{path} names {shard}, but it is not there"


def _of_gpus(model: Model, gpus: list[Gpu]) -> Iterator[str]:
    """Whether one of this machine's GPUs holds the model under a plan of its own."""
    if not model.memory:
        return
    if not gpus:
        yield f"this machine has no GPU that NVIDIA's driver knows, and {model.name} needs one"
    elif not any(fitting.holds(model, fitting.plan_for(model, gpu.total_mib), gpu.total_mib) for gpu in gpus):
        lightest = fitting.plan_for(model, 0)
        needed = model.needs(lightest, model.default_size)
        wants = f"{needed:g} GiB" if needed else "more"
        yield (
            f"{model.name} needs {wants} of GPU memory under its lightest plan, {lightest}, beside "
            f"{fitting.SPARE_GIB:g} GiB for the driver, but this machine has {'; '.join(map(str, gpus))}"
        )
