"""What a storage of media can do beyond Django's own: links for saving, and files that are sent to it in parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol, cast
from uuid import UUID

from django.core.files.storage import default_storage

FOLDER = "uploads"
"""Holds a folder for each upload under way."""


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a file; `number` counts from 1, `size` is in bytes."""

    number: int
    size: int


@dataclass(frozen=True, slots=True)
class PartLink:
    """Where one part is to be PUT, with which headers beside its length."""

    part: Part
    url: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A file on its way: `size` bytes in parts of `part_size`, of which the last may be smaller."""

    id: UUID
    size: int = 0
    part_size: int = 1
    multipart_id: str = ""

    @property
    def folder(self) -> str:
        return f"{FOLDER}/{self.id}"

    @property
    def parts(self) -> list[Part]:
        starts = range(0, self.size, self.part_size)
        return [
            Part(number, min(self.part_size, self.size - start)) for number, start in enumerate(starts, start=1)
        ]


class MediaStorage(Protocol):
    """Beside what Django asks of every storage. All of it SHALL be safe to repeat."""

    def url(self, name: str, parameters: dict[str, Any] | None = None, expire: int | None = None) -> str:
        """A link for showing, that works without signing in for `expire` seconds (`LINK_LIFETIME` without)."""

    def download_url(self, name: str | None, filename: str) -> str:
        """The same for saving, under a name of its own."""

    def begin(self, incoming: Incoming) -> str:
        """Make ready to receive parts. Returns the `multipart_id` that belongs to it, "" where there is none."""

    def part_link(self, incoming: Incoming, part: Part, lifetime: timedelta) -> PartLink:
        """A link for this part alone, of this many bytes."""

    def received(self, incoming: Incoming) -> dict[int, int]:
        """How many bytes of each part have arrived, by its number; parts are there whole or not at all."""

    def fetch(self, incoming: Incoming, target: Path) -> None:
        """Write what has arrived, put together, into a local file. Raises `FileNotFoundError` for nothing."""

    def discard(self, incoming: Incoming) -> None:
        """Remove what has arrived, and take no more of it where the storage can tell."""

    def held(self) -> Iterator[Incoming]:
        """Every upload that something is held of, known to the database or not; an id may come twice."""


def media() -> MediaStorage:
    """The storage of this installation."""
    return cast("MediaStorage", default_storage)
