"""Assets as the API tells them; its views are in `mutoscope.api.assets`, for uploads are held against the plan."""

from __future__ import annotations

from rest_framework import serializers

from assets.models import Asset


class AssetSerializer(serializers.ModelSerializer[Asset]):
    """A picture, clip or sound. `url` and `thumbnail_url` work without a key until they expire.

    `deleted_at` and `discard_at` are null but in the trash: since when it lies there, and when its files are
    removed.
    """

    url = serializers.URLField(source="file.url", read_only=True)
    thumbnail_url = serializers.SerializerMethodField()

    class Meta:
        model = Asset
        fields = [
            "id", "kind", "origin", "name", "media_type", "uploaded_type", "size_bytes", "sha256", "width",
            "height", "seconds", "fps", "color", "url", "thumbnail_url", "created_at",
            "deleted_at", "discard_at",
        ]  # fmt: skip

    def get_thumbnail_url(self, asset: Asset) -> str | None:
        return asset.thumbnail.url if asset.thumbnail else None
