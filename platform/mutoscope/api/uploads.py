"""/api/v1/uploads: files that are sent straight to the storage, in parts."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from assets import uploads as direct
from assets.models import Upload
from assets.selectors import upload_of
from assets.services import NAME_LENGTH
from assets.upload_shapes import (
    AnnouncedUploadSerializer,
    PartsSerializer,
    UploadSerializer,
    announced,
    fresh_links,
)
from generation import uploads
from mutoscope.accounts.permissions import access


class AnnouncementSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=NAME_LENGTH, help_text="The file's name.")
    size_bytes = serializers.IntegerField(min_value=1, help_text="Exactly as many bytes as it has.")
    sha256 = serializers.RegexField(
        r"^[0-9a-fA-F]{64}\Z",
        required=False,
        default="",
        help_text="In hexadecimal: a file that arrives as anything else is refused.",
    )


class NumbersSerializer(serializers.Serializer[Any]):
    numbers = serializers.ListField(
        child=serializers.IntegerField(min_value=1),
        max_length=direct.MAX_PARTS,
        required=False,
        default=list,
        help_text="Parts to have links for; without any, those that have not arrived.",
    )


@extend_schema(tags=["uploads"])
class UploadViewSet(GenericViewSet[Upload]):
    """Files on their way into the library."""

    serializer_class = UploadSerializer
    queryset = Upload.objects.none()
    filter_backends = ()
    pagination_class = None
    lookup_value_converter = "uuid"
    scopes: ClassVar[dict[str, str]] = {"read": "assets:read", "write": "assets:write"}

    @extend_schema(
        operation_id="announce_upload", request=AnnouncementSerializer, responses={201: AnnouncedUploadSerializer}
    )
    def create(self, request: Request) -> Response:
        """Announce a file; the answer tells where to PUT each of its parts."""
        body = AnnouncementSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        upload = uploads.announce(access(request), **body.validated_data)
        return Response(announced(upload), status=status.HTTP_201_CREATED)

    @extend_schema(operation_id="get_upload", responses=UploadSerializer)
    def retrieve(self, request: Request, pk: UUID) -> Response:
        return Response(self.get_serializer(upload_of(access(request).workspace, pk)).data)

    @extend_schema(operation_id="get_upload_parts", request=NumbersSerializer, responses={200: PartsSerializer})
    @action(detail=True, methods=["post"])
    def parts(self, request: Request, pk: UUID) -> Response:
        """Fresh links: for the parts that have not arrived, or for those that are named."""
        body = NumbersSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(fresh_links(*direct.parts_to_send(access(request), pk, body.validated_data["numbers"])))

    @extend_schema(operation_id="complete_upload", request=None, responses={202: UploadSerializer})
    @action(detail=True, methods=["post"])
    def complete(self, request: Request, pk: UUID) -> Response:
        """Say that every part was sent. The file is inspected; then the upload is `ready` or `refused`."""
        upload = uploads.complete(access(request), pk)
        return Response(self.get_serializer(upload).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(operation_id="delete_upload", responses={204: None})
    def destroy(self, request: Request, pk: UUID) -> Response:
        """Give it up; what has arrived is removed."""
        direct.abandon(access(request), pk)
        return Response(status=status.HTTP_204_NO_CONTENT)
