"""What a job brings, on local disk for the engine and the finish stage."""

from __future__ import annotations

import shutil
from pathlib import Path

from assets.models import Asset
from generation.engines.base import EngineError
from generation.worker.leases import Hold
from generation.worker.patience import patiently

FIRST, LAST = "picture", "last-picture"
"""What the local copies of a job's pictures are called, but for their suffixes."""


def fetch(hold: Hold, asset: Asset | None, target: Path, *, what: str = "picture") -> Path | None:
    """The asset on local disk, at `target` with the asset's own suffix; None where there is none.

    Raises `EngineError`, and `attempts.Lost` where that takes too long.
    """
    if asset is None:
        return None
    if asset.deleted_at:
        raise EngineError(f"{what}_deleted", f"the {what} was deleted before the job could begin", "user")
    target = target.with_suffix(Path(str(asset.file)).suffix)

    def copy() -> None:
        with asset.file.open("rb") as source, target.open("wb") as file:
            shutil.copyfileobj(source, file)

    try:
        patiently(copy, wanted=hold.is_certain, what=f"the {what}")
    except FileNotFoundError as error:
        raise EngineError(f"{what}_missing", f"the {what} is missing in the storage", "machine") from error
    return target


def fetched(folder: Path, name: str) -> Path | None:
    """What was fetched under that name; None where the job has none."""
    return next(folder.glob(f"{name}.*"), None)
