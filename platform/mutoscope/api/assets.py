"""/api/v1/assets: upload, list, look at, delete and restore assets."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from assets import trash
from assets.api import AssetSerializer
from assets.models import Asset
from assets.selectors import asset_of, library
from generation import retention, uploads
from generation.api.portraits import PortraitSerializer
from generation.api.shapes import QualitySerializer, told_check
from generation.safety.portrait.gate import portrait_of
from mutoscope.accounts.permissions import access


class UploadSerializer(serializers.Serializer[Any]):
    file = serializers.FileField(
        allow_empty_file=True,  # inspection refuses it, with the reason that an upload form gives too
        help_text="JPEG, PNG, WebP, AVIF or HEIC; or a video or sound for the models that take one.",
    )


class LibraryAssetSerializer(AssetSerializer):
    """An asset of the library. `quality` is what was found in a clip that was made here; else null."""

    check = serializers.SerializerMethodField()

    class Meta(AssetSerializer.Meta):
        fields = [*AssetSerializer.Meta.fields, "check"]

    @extend_schema_field(QualitySerializer(allow_null=True))
    def get_check(self, asset: Asset) -> dict[str, Any] | None:
        return told_check(asset)


class AssetFilter(django_filters.FilterSet):
    class Meta:
        model = Asset
        fields = ["kind", "origin"]


class ListingSerializer(serializers.Serializer[Any]):
    trash = serializers.BooleanField(
        default=False, help_text="What was deleted and can still be restored, instead of the library."
    )


class DeletionSerializer(serializers.Serializer[Any]):
    now = serializers.BooleanField(
        default=False, help_text="For good: its files are removed within minutes, also from the trash."
    )


@extend_schema(tags=["assets"])
@extend_schema_view(
    list=extend_schema(operation_id="list_assets", parameters=[ListingSerializer]),
    retrieve=extend_schema(operation_id="get_asset"),
)
class AssetViewSet(mixins.ListModelMixin, GenericViewSet[Asset]):
    """The workspace's library."""

    serializer_class = LibraryAssetSerializer
    filterset_class = AssetFilter
    queryset = Asset.objects.none()
    parser_classes = [MultiPartParser]
    lookup_value_converter = "uuid"
    scopes: ClassVar[dict[str, str]] = {"read": "assets:read", "write": "assets:write"}

    def get_queryset(self) -> QuerySet[Asset]:
        if getattr(self, "swagger_fake_view", False):
            return self.queryset
        workspace = access(self.request).workspace
        found = trash.trash(workspace) if self._asked(ListingSerializer)["trash"] else library(workspace)
        return found.select_related("quality")

    def retrieve(self, request: Request, pk: UUID) -> Response:
        return Response(self.get_serializer(asset_of(access(request).workspace, pk)).data)

    @extend_schema(operation_id="upload_asset", request=UploadSerializer, responses={201: LibraryAssetSerializer})
    def create(self, request: Request) -> Response:
        upload = UploadSerializer(data=request.data)
        upload.is_valid(raise_exception=True)
        asset = uploads.upload(access(request), upload.validated_data["file"])
        return Response(self.get_serializer(asset).data, status=status.HTTP_201_CREATED)

    @extend_schema(operation_id="delete_asset", parameters=[DeletionSerializer])
    def destroy(self, request: Request, pk: UUID) -> Response:
        """Put it into the trash, where it can be restored until its `discard_at`."""
        trash.delete(access(request), pk, now=self._asked(DeletionSerializer)["now"])
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(operation_id="check_portrait", request=None, responses=PortraitSerializer)
    @action(detail=True, methods=["post"])
    def portrait(self, request: Request, pk: UUID) -> Response:
        """Whether the picture will do for models that need a portrait, and what speaks against it."""
        picture = asset_of(access(request).workspace, pk)
        return Response(PortraitSerializer(portrait_of(picture)).data)

    @extend_schema(operation_id="restore_asset", request=None, responses=AssetSerializer)
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, pk: UUID) -> Response:
        """Put it back into the library. What the library has no room for stays in the trash."""
        return Response(self.get_serializer(retention.restore(access(request), pk)).data)

    def _asked(self, shape: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        """What the address says after its question mark."""
        asked = shape(data=self.request.query_params)
        asked.is_valid(raise_exception=True)
        found: dict[str, Any] = asked.validated_data
        return found
