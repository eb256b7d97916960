"""Assets as the API tells them; its views are in `mutoscope.api.assets`, for uploads are held against the plan."""

from __future__ import annotations

from typing import Any

from django.db.models.fields.files import FieldFile
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from assets.models import Asset


@extend_schema_field({"type": ["string", "null"], "format": "uri"})
class LinkField(serializers.Field[Any, Any, "str | None", Any]):
    """Where a file can be fetched; null where there is none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(read_only=True, **options)

    def to_representation(self, value: FieldFile) -> str | None:
        return value.url if value else None


class AssetSerializer(serializers.ModelSerializer[Asset]):
    """A picture, clip or sound. The links work without a key until they expire; null where there is no such file.

    Of clips that were made here: `poster_url` is one frame in full size, `preview_url` a small moving picture,
    `strip_url` a picture of `strip_tiles` frames of equal width in one row, evenly spread over the clip.
    """

    url = serializers.URLField(source="file.url", read_only=True)
    thumbnail_url = LinkField(source="thumbnail")
    poster_url = LinkField(source="poster")
    preview_url = LinkField(source="preview")
    strip_url = LinkField(source="strip")

    class Meta:
        model = Asset
        fields = [
            "id", "kind", "origin", "name", "media_type", "uploaded_type", "size_bytes", "sha256", "width",
            "height", "seconds", "fps", "color", "is_marked", "url", "thumbnail_url",
            "poster_url", "preview_url", "strip_url", "strip_tiles", "created_at",
        ]  # fmt: skip
