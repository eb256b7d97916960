"""Files on local disk, handed out by signed links as S3 would: whoever has the link may fetch, for a while."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from django.conf import settings
from django.core import signing
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import FileSystemStorage

FILES = "/files/"
"""Where the links lead; served by `mutoscope.asgi`."""
_SALT = "assets.storage"


class SignedFileSystemStorage(FileSystemStorage):
    """Local media. `url()` gives an absolute link that works without signing in until it expires."""

    def url(self, name: str | None) -> str:
        token = signing.TimestampSigner(salt=_SALT).sign_object(name)
        # The token covers the whole name; its last part is repeated for the person who saves the file.
        return f"{settings.PUBLIC_URL}{FILES}{token}/{quote(Path(name or '').name)}"

    def path_of_token(self, token: str) -> Path | None:
        """The file that a link leads to, or None where the link is forged, has expired or leads nowhere."""
        try:
            name = signing.TimestampSigner(salt=_SALT).unsign_object(token, max_age=settings.LINK_LIFETIME)
        except signing.BadSignature:
            return None
        try:
            path = Path(self.path(name))
        except SuspiciousFileOperation:  # out of the storage: no name of ours, so nothing we signed knowingly
            return None
        return path if path.is_file() else None
