import mimetypes

from django.apps import AppConfig

MEDIA_TYPES = {
    ".avif": "image/avif",
    ".webp": "image/webp",
    ".mkv": "video/x-matroska",
    ".mka": "audio/x-matroska",
    ".m4a": "audio/mp4",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".aac": "audio/aac",
}
"""Of files that we keep: not every Python and system knows them all, and storages and servers go by the name."""


class AssetsConfig(AppConfig):
    name = "assets"

    def ready(self) -> None:
        for extension, media_type in MEDIA_TYPES.items():
            mimetypes.add_type(media_type, extension)
