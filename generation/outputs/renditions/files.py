"""The files of renditions: from the storage, and back into it beside the clip's own."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage
from django.db.models.fields.files import FieldFile
from django.utils.text import slugify
from PIL import Image

from assets.inspection import thumbnail_of
from assets.models import Asset, Rendition
from generation.engines.base import EngineError
from generation.outputs.encoding import PROFILES, Form, Previews

MAX_ATTEMPTS = 3
"""Tries at a rendition, those that were lost among them."""
FILES = frozenset({"file", "master", "thumbnail", "poster", "preview", "strip"})
"""The columns of an asset that name files."""
_NAME_LENGTH = 80


@dataclass(frozen=True, slots=True)
class Made:
    """A finished file in the storage. `shown`: columns of the clip that change with it, as they are to be."""

    name: str
    media_type: str
    size_bytes: int
    sha256: str
    shown: dict[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Every file that was stored for it."""
        return [self.name, *(value for column, value in self.shown.items() if column in FILES)]


def form_of(rendition: Rendition) -> Form:
    """What was asked for."""
    return Form(rendition.format, rendition.quality, rendition.fps, rendition.width, rendition.loop)


def fetch(stored: FieldFile, scratch: Path, name: str = "master") -> Path:
    """The stored file as a local one. Raises `EngineError` (ours) where it is not there any more."""
    path = scratch / f"{name}{Path(stored.name or '').suffix}"
    try:
        with default_storage.open(stored.name or "", "rb") as source, path.open("wb") as file:
            shutil.copyfileobj(source, file, 1024**2)
    except FileNotFoundError as error:
        raise EngineError("master_missing", "the clip's file is not in the storage any more", "ours") from error
    return path


def store(rendition: Rendition, path: Path, shown: Previews | None = None) -> Made:
    """Keep the file, and what shows the clip in the library where that is new, too."""
    profile = PROFILES[rendition.format]
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        name = _keep(_place(rendition, rendition.attempts), File(file))
    columns = _store_shown(rendition, shown) if shown else {}
    return Made(name, profile.media_type, path.stat().st_size, digest, columns)


def stored_names(rendition: Rendition) -> list[str]:
    """Wherever attempts may have stored the file: one that was killed has left its own behind."""
    return [_place(rendition, attempt) for attempt in range(1, MAX_ATTEMPTS + 1)]


def _store_shown(rendition: Rendition, shown: Previews) -> dict[str, Any]:
    clip = rendition.asset
    with Image.open(shown.poster) as poster:
        thumbnail = thumbnail_of(poster.convert("RGB"))
    contents = {
        "poster": (shown.poster.suffix, shown.poster.read_bytes()),
        "preview": (shown.preview.suffix, shown.preview.read_bytes()),
        "strip": (shown.strip.suffix, shown.strip.read_bytes()),
        "thumbnail": (thumbnail.extension, thumbnail.data),
    }
    names = {}
    for column, (suffix, content) in contents.items():
        name = f"{column}-{rendition.pk.hex[-6:]}-{rendition.attempts}{suffix}"
        place = Asset._meta.get_field(column).generate_filename(clip, name)  # type: ignore[union-attr]  # a file
        names[column] = _keep(place, ContentFile(content))
    return {**names, "strip_tiles": shown.tiles}


def _keep(place: str, content: File[bytes]) -> str:
    default_storage.delete(place)  # else a storage that keeps what it has would take another name
    return default_storage.save(place, content)


def _place(rendition: Rendition, attempt: int) -> str:
    """Where an attempt's file is stored: beside the clip's own, under a name that people can do with."""
    usual = Form()
    facts = [
        slugify(Path(rendition.asset.name).stem)[:_NAME_LENGTH] or "clip",
        rendition.format if rendition.format != PROFILES[rendition.format].extension else "",
        rendition.quality if rendition.quality != usual.quality else "",
        f"{rendition.width}w" if rendition.width else "",
        f"{rendition.fps}fps" if rendition.fps else "",
        rendition.loop,
        rendition.pk.hex[-6:],
        str(attempt),
    ]
    name = "-".join(filter(None, facts)) + f".{PROFILES[rendition.format].extension}"
    return str(Rendition._meta.get_field("file").generate_filename(rendition, name))
