"""The manifest of a repository's folder: which commit lies there, and what each file must be."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from generation.weights.errors import WeightsError
from generation.weights.needs import HubName, matches

NAME = ".mutoscope.json"
ALL = "*"
"""The pattern that stands for all files."""


class HubFile(BaseModel):
    """What a file of a repository is: bytes, SHA-256 where it is known, and the hub's own id of its content."""

    model_config = ConfigDict(frozen=True)

    size: int
    sha256: str = ""
    blob: str = ""

    def is_same(self, other: HubFile) -> bool:
        """Whether both are certainly the same content."""
        if self.size != other.size:
            return False
        if self.sha256 and other.sha256:
            return self.sha256 == other.sha256
        return bool(self.blob) and self.blob == other.blob


class Manifest(BaseModel):
    """What was pulled into a folder. `pulled_at` is when all of it was there; None while a pull is under way."""

    repository: str
    hub: HubName
    revision: str
    patterns: list[str]
    files: dict[str, HubFile]
    pulled_at: datetime | None = None

    def covers(self, patterns: Sequence[str]) -> bool:
        """Whether these patterns were among what was pulled."""
        return ALL in self.patterns or (bool(patterns) and set(patterns) <= set(self.patterns))

    def meant_by(self, patterns: Sequence[str]) -> dict[str, HubFile]:
        """The files that the patterns mean."""
        return {path: file for path, file in self.files.items() if matches(path, patterns)}


def read(folder: Path) -> Manifest | None:
    """The folder's manifest; None where there is none. Raises `WeightsError` for one that cannot be read."""
    path = folder / NAME
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValidationError, OSError) as error:
        raise WeightsError(f"{path} cannot be read; remove it and pull again: {error}") from error


def write(folder: Path, manifest: Manifest) -> None:
    """Put the manifest in its place: whole, or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f"{NAME}.new"
    with new.open("w", encoding="utf-8") as file:
        file.write(manifest.model_dump_json(indent=2))
        file.flush()
        os.fsync(file.fileno())
    new.replace(folder / NAME)


def incomplete(target: Path) -> Path:
    """Where a file's content is kept until all of it is there: both hubs' fetchers keep to it."""
    return target.with_name(f"{target.name}.incomplete")


def size_of(path: Path) -> int | None:
    """The file's bytes; None where there is no such file."""
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:
        return None


def sha256_of(path: Path) -> str:
    """The file's SHA-256, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
