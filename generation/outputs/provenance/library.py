"""How the C2PA library is set: it asks nobody on the network but whom the operator has named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.conf import settings

if TYPE_CHECKING:
    import c2pa

FORMATS = {
    "video/mp4": "video/mp4",
    "video/quicktime": "video/quicktime",
    "image/jpeg": "image/jpeg",
    "image/png": "image/png",
    "image/webp": "image/webp",
    "image/gif": "image/gif",
    "application/zip": "application/x-zip",
}
"""Media types of ours that can hold a manifest, and what the library calls them. WebM is not among them."""
ASSERTION = "mutoscope.generation"
"""Our own assertion: the job, the digest of its recipe, the digests of its pictures."""
THUMBNAIL_SIDE = 256
"""Pixels of the longer side, of the thumbnails in a manifest."""


def context(*, anchors: str = "") -> c2pa.Context:
    """What the library works by. `anchors` are the authorities (PEM) whose certificates are trusted."""
    import c2pa  # a library of 20 MB: for processes that sign or read, and not for all that start

    chosen: dict[str, Any] = {
        # Else a file could have us fetch what it names: remote manifests and certificates' states.
        "core": {"allowed_network_hosts": _hosts()},
        # What was signed is read back by `signing.sign`, which asks for more than the library would.
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_after_sign": False},
        "trust": {"trust_anchors": anchors} if anchors else {},
        "builder": {
            "thumbnail": {"long_edge": THUMBNAIL_SIDE, "format": "jpeg"},
            # Ours, and not gathered from elsewhere: we answer for them.
            "created_assertion_labels": ["c2pa.actions", ASSERTION],
        },
    }
    return c2pa.Context.from_dict(chosen)


def _hosts() -> list[str]:
    """Whom it may speak to: the time-stamping authority, where there is one."""
    if not settings.C2PA_TSA_URL:
        return []
    url = urlsplit(settings.C2PA_TSA_URL)
    return [f"{url.scheme}://{url.netloc}"]
