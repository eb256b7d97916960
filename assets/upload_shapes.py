"""Uploads as the API and the pages tell them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from assets import uploads
from assets.api import AssetSerializer
from assets.models import Upload
from assets.storage import Part, PartLink


class UploadErrorSerializer(serializers.Serializer[Any]):
    """Why nothing became of it."""

    code = serializers.CharField()
    message = serializers.CharField()


class UploadSerializer(serializers.ModelSerializer[Upload]):
    """A file on its way into the library. Once it is `ready`, `asset` is there; once `refused`, `error` is."""

    part_size_bytes = serializers.IntegerField(
        source="part_bytes", help_text="Of each part but the last, which has what is left."
    )
    asset = AssetSerializer(read_only=True, allow_null=True)
    error = serializers.SerializerMethodField()

    class Meta:
        model = Upload
        fields = [
            "id", "name", "size_bytes", "sha256", "part_size_bytes", "state", "asset", "error", "created_at",
            "expires_at",
        ]  # fmt: skip

    @extend_schema_field(UploadErrorSerializer(allow_null=True))
    def get_error(self, upload: Upload) -> dict[str, str] | None:
        return {"code": upload.error_code, "message": upload.error} if upload.error_code else None


class PartSerializer(serializers.Serializer[PartLink]):
    """PUT the part's bytes to `url`, with `headers`, if there are any, and without a key."""

    number = serializers.IntegerField(source="part.number")
    size_bytes = serializers.IntegerField(source="part.size")
    url = serializers.URLField()
    headers = serializers.DictField(child=serializers.CharField())


class PartsSerializer(serializers.Serializer[Any]):
    """Links for parts; they work until `links_expire_at`."""

    parts = PartSerializer(many=True)
    links_expire_at = serializers.DateTimeField()


class AnnouncedUploadSerializer(UploadSerializer):
    """An upload with links for all of its parts; they work until `links_expire_at`."""

    parts = serializers.SerializerMethodField()
    links_expire_at = serializers.SerializerMethodField()

    class Meta(UploadSerializer.Meta):
        fields = [*UploadSerializer.Meta.fields, "parts", "links_expire_at"]

    @extend_schema_field(PartSerializer(many=True))
    def get_parts(self, upload: Upload) -> Any:
        return PartSerializer(self.context["links"], many=True).data

    def get_links_expire_at(self, upload: Upload) -> datetime:
        expire_at: datetime = self.context["links_expire_at"]
        return expire_at


def announced(upload: Upload) -> dict[str, Any]:
    """An upload with a link for each of its parts."""
    links, expire_at = uploads.part_links(upload, uploads.incoming_of(upload).parts)
    return AnnouncedUploadSerializer(upload, context={"links": links, "links_expire_at": expire_at}).data


def fresh_links(upload: Upload, parts: list[Part]) -> dict[str, Any]:
    """A fresh link for each of the parts."""
    links, expire_at = uploads.part_links(upload, parts)
    return PartsSerializer({"parts": links, "links_expire_at": expire_at}).data
