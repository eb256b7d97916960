"""Assets as the API tells them; its views are in `mutoscope.api.assets`, for uploads are held against the plan."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models.fields.files import FieldFile
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from assets.models import Asset
from assets.storage import media


class ProvenanceSerializer(serializers.Serializer[dict[str, Any]]):
    """What the C2PA manifest in the file says of it; where the file's format can hold none, the reason alone."""

    is_signed = serializers.BooleanField()
    reason = serializers.CharField(required=False, help_text="Why it is not signed.")
    manifest = serializers.CharField(required=False, help_text="The manifest's own name.")
    issuer = serializers.CharField(required=False, help_text="In whose name it is signed.")
    is_development = serializers.BooleanField(
        required=False, help_text="Signed with a certificate that nobody else trusts, for development."
    )
    certificate_until = serializers.DateTimeField(required=False)
    time_stamped_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="By a time-stamping authority; null is none."
    )
    source_type = serializers.CharField(
        required=False, help_text="trainedAlgorithmicMedia is made by AI, algorithmicMedia is computed without."
    )
    model = serializers.CharField(required=False)
    model_version = serializers.CharField(required=False)
    recipe_sha256 = serializers.CharField(
        required=False, help_text="Over the job's recipe in the JSON Canonicalization Scheme (RFC 8785)."
    )
    made_at = serializers.DateTimeField(required=False)
    job = serializers.CharField(required=False)
    generator = serializers.CharField(required=False)
    ingredients = serializers.ListField(child=serializers.CharField(), required=False)


@extend_schema_field({"type": ["string", "null"], "format": "uri"})
class LinkField(serializers.Field[Any, Any, "str | None", Any]):
    """Where a file can be fetched; null where there is none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(read_only=True, **options)

    def to_representation(self, value: FieldFile) -> str | None:
        return value.url if value else None


class AssetSerializer(serializers.ModelSerializer[Asset]):
    """A picture, clip or sound. Links are null where there is no such file.

    `url` is for showing, `download_url` for saving it under its name. All links work without a key until
    `links_expire_at`; ask again for fresh ones. Of clips that were made here: `poster_url` is one frame in full
    size, `preview_url` a small moving picture, `strip_url` a picture of `strip_tiles` frames of equal width in one
    row, evenly spread over the clip. `deleted_at` and `discard_at` are null but in the trash: since when it lies
    there, and when its files are removed.
    """

    url = serializers.URLField(source="file.url", read_only=True)
    download_url = serializers.SerializerMethodField()
    thumbnail_url = LinkField(source="thumbnail")
    poster_url = LinkField(source="poster")
    preview_url = LinkField(source="preview")
    strip_url = LinkField(source="strip")
    links_expire_at = serializers.SerializerMethodField()
    provenance = serializers.SerializerMethodField()

    class Meta:
        model = Asset
        fields = [
            "id", "kind", "origin", "name", "media_type", "uploaded_type", "size_bytes", "sha256", "width",
            "height", "seconds", "fps", "color", "is_marked", "url", "download_url", "thumbnail_url", "poster_url",
            "preview_url", "strip_url", "strip_tiles", "links_expire_at", "provenance", "created_at",
            "deleted_at", "discard_at",
        ]  # fmt: skip

    def get_download_url(self, asset: Asset) -> str:
        return media().download_url(asset.file.name, asset.file_name)

    def get_links_expire_at(self, asset: Asset) -> datetime:
        return timezone.now() + settings.LINK_LIFETIME

    @extend_schema_field(ProvenanceSerializer(allow_null=True))
    def get_provenance(self, asset: Asset) -> dict[str, Any] | None:
        return asset.provenance or None
