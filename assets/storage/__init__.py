"""Where pictures and clips are kept: a folder or S3, with the same things to be done on both."""

from assets.storage.base import FOLDER, Incoming, MediaStorage, Part, PartLink, media
from assets.storage.local import FILES, PARTS, SignedFileSystemStorage

__all__ = [
    "FILES",
    "FOLDER",
    "PARTS",
    "Incoming",
    "MediaStorage",
    "Part",
    "PartLink",
    "SignedFileSystemStorage",
    "media",
]
