"""Assets as the API tells them; its views are in `mutoscope.api.assets`, for uploads are held against the plan."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from assets.models import Asset


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


class AssetSerializer(serializers.ModelSerializer[Asset]):
    """A picture, clip or sound. `url` and `thumbnail_url` work without a key until they expire.

    `deleted_at` and `discard_at` are null but in the trash: since when it lies there, and when its files are
    removed.
    """

    url = serializers.URLField(source="file.url", read_only=True)
    thumbnail_url = serializers.SerializerMethodField()
    provenance = serializers.SerializerMethodField()

    class Meta:
        model = Asset
        fields = [
            "id", "kind", "origin", "name", "media_type", "uploaded_type", "size_bytes", "sha256", "width",
            "height", "seconds", "fps", "color", "url", "thumbnail_url", "provenance", "created_at",
            "deleted_at", "discard_at",
        ]  # fmt: skip

    def get_thumbnail_url(self, asset: Asset) -> str | None:
        return asset.thumbnail.url if asset.thumbnail else None

    @extend_schema_field(ProvenanceSerializer(allow_null=True))
    def get_provenance(self, asset: Asset) -> dict[str, Any] | None:
        return asset.provenance or None
