"""A storage that refuses to be changed for as long as a flag file lies beside it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile

from assets.storage import SignedFileSystemStorage

FLAG = "storage-refuses"
"""Under MUTOSCOPE_VAR. A flag and not permissions: root may write wherever it likes."""


def flag() -> Path:
    return Path(os.environ["MUTOSCOPE_VAR"]) / FLAG


class RefusingStorage(SignedFileSystemStorage):
    """As a full disk does, it keeps the first bytes of a file and then fails; meanwhile nothing can be deleted."""

    def _save(self, name: str, content: Any) -> str:
        if not flag().exists():
            return super()._save(name, content)
        super()._save(name, ContentFile(content.read(64)))
        raise OSError(errno.ENOSPC, "the storage is full", name)

    def delete(self, name: str) -> None:
        if flag().exists():
            raise OSError(errno.EROFS, "the storage lets nothing be deleted", name)
        super().delete(name)
