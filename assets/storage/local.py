"""Files on local disk, handed out and taken in by signed links as S3 would: whoever has one may, for a while."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

from django.conf import settings
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import FileSystemStorage

from assets.storage import links
from assets.storage.base import FOLDER, Incoming, Part, PartLink

FILES = "/files/"
"""Where links to files lead; served by `mutoscope.files`."""
PARTS = "/incoming/"
"""Where links for parts of uploads lead; served by `mutoscope.files`."""
_BLOCK = 2**20


class SignedFileSystemStorage(FileSystemStorage):
    """Local media. Links are absolute, and work without signing in until they expire.

    An upload is a folder with a file for each part, named by its number.
    """

    def url(self, name: str | None, parameters: dict[str, Any] | None = None, expire: int | None = None) -> str:
        return self._link(links.Reading(name or ""), expire)

    def download_url(self, name: str | None, filename: str) -> str:
        return self._link(links.Reading(name or "", filename))

    def _link(self, reading: links.Reading, expire: int | None = None) -> str:
        # The token covers everything; the name is repeated for the person who reads the address.
        shown = quote(reading.filename or Path(reading.name).name)
        return f"{settings.PUBLIC_URL}{FILES}{links.sign_reading(reading, expire)}/{shown}"

    def file_of_token(self, token: str) -> tuple[Path, str] | None:
        """The file that a link leads to, and under which name it is to be saved ("" where it is for showing).

        None where the link is forged, has expired or leads nowhere.
        """
        reading = links.read_reading(token)
        path = self._inside(reading.name) if reading else None
        return (path, reading.filename) if reading and path and path.is_file() else None

    def part_of_token(self, token: str) -> tuple[Path, int] | None:
        """Where a part is to be put, and how many bytes it must have.

        None where the link is forged or has expired, or the upload has ended.
        """
        writing = links.read_writing(token)
        path = self._inside(writing.name) if writing else None
        if writing is None or path is None or path.parent.parent != Path(self.path(FOLDER)):
            return None
        return (path, writing.size) if path.parent.is_dir() else None

    def _inside(self, name: str) -> Path | None:
        try:
            return Path(self.path(name))
        except SuspiciousFileOperation:  # out of the storage: no name of ours, so nothing we signed knowingly
            return None

    # --- Files that are sent in parts ------------------------------------------------------------------------

    def begin(self, incoming: Incoming) -> str:
        self._home(incoming).mkdir(parents=True, exist_ok=True)
        return ""

    def part_link(self, incoming: Incoming, part: Part, lifetime: timedelta) -> PartLink:
        token = links.sign_writing(links.Writing(f"{incoming.folder}/{part.number}", part.size), lifetime)
        return PartLink(part, f"{settings.PUBLIC_URL}{PARTS}{token}")

    def received(self, incoming: Incoming) -> dict[int, int]:
        home = self._home(incoming)
        if not home.is_dir():
            return {}
        return {int(path.name): path.stat().st_size for path in home.iterdir() if path.name.isdigit()}

    def fetch(self, incoming: Incoming, target: Path) -> None:
        home = self._home(incoming)
        with target.open("wb") as whole:
            for part in incoming.parts:
                with (home / str(part.number)).open("rb") as piece:
                    shutil.copyfileobj(piece, whole, _BLOCK)

    def discard(self, incoming: Incoming) -> None:
        # A part that is just arriving may put a file into it meanwhile: then it goes in the next round.
        with contextlib.suppress(OSError):
            shutil.rmtree(self._home(incoming))

    def held(self) -> Iterator[Incoming]:
        home = Path(self.path(FOLDER))
        for folder in home.iterdir() if home.is_dir() else ():
            with contextlib.suppress(ValueError):  # not an upload's: left alone
                yield Incoming(UUID(folder.name))

    def _home(self, incoming: Incoming) -> Path:
        return Path(self.path(incoming.folder))
