"""/api/v1/workspace/mark: the workspace's own visible mark."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from generation.models import VisibleMark
from generation.outputs.visible import editing
from mutoscope.accounts.permissions import access
from mutoscope.errors import NotFound

USUAL = editing.USUAL


class MarkSerializer(serializers.ModelSerializer[VisibleMark]):
    """The workspace's own visible mark. `picture_url` works without a key until it expires."""

    picture_url = serializers.SerializerMethodField()

    class Meta:
        model = VisibleMark
        fields = ["is_on", "text", "picture_url", "position", "size", "opacity", "drifts", "updated_at"]

    def get_picture_url(self, mark: VisibleMark) -> str | None:
        return mark.picture.url if mark.picture else None


class MarkWishSerializer(serializers.Serializer[Any]):
    """What the mark is to be; what is left out is as usual. A picture is sent as multipart/form-data."""

    is_on = serializers.BooleanField(required=False, default=USUAL.is_on, help_text="Whether clips carry it.")
    text = serializers.CharField(
        required=False, allow_blank=True, default="", help_text="Drawn where there is no picture."
    )
    picture = serializers.FileField(
        required=False,
        allow_null=True,
        help_text="PNG, may be see-through. Left out, the one that is there stays.",
    )
    without_picture = serializers.BooleanField(
        required=False, default=False, help_text="Do away with the picture that is there."
    )
    position = serializers.CharField(
        required=False, default=USUAL.position, help_text=f"One of {', '.join(VisibleMark.Position.values)}."
    )
    size = serializers.FloatField(
        required=False, default=USUAL.size, help_text="Width of the mark, as a share of the frame's: 0.05 to 1."
    )
    opacity = serializers.FloatField(required=False, default=USUAL.opacity, help_text="0.1 to 1.")
    drifts = serializers.BooleanField(
        required=False, default=False, help_text="It wanders over the frame, so that it cannot be cropped off."
    )

    def to_wish(self) -> editing.MarkWish:
        return editing.MarkWish(**self.validated_data)


@extend_schema(tags=["account"])
class MarkView(APIView):
    """The mark that a workspace puts on its own clips."""

    scopes: ClassVar[dict[str, str]] = {"read": "assets:read", "write": "assets:write"}
    parser_classes = [JSONParser, MultiPartParser]

    @extend_schema(operation_id="get_mark", responses=MarkSerializer)
    def get(self, request: Request) -> Response:
        mark = editing.mark_of(access(request).workspace)
        if mark is None:
            raise NotFound("the workspace has no mark of its own")
        return Response(MarkSerializer(mark).data)

    @extend_schema(operation_id="set_mark", request=MarkWishSerializer, responses=MarkSerializer)
    def put(self, request: Request) -> Response:
        asked = MarkWishSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        return Response(MarkSerializer(editing.set_mark(access(request), asked.to_wish())).data)

    @extend_schema(operation_id="delete_mark", responses={204: None})
    def delete(self, request: Request) -> Response:
        if not editing.remove_mark(access(request)):
            raise NotFound("the workspace has no mark of its own")
        return Response(status=status.HTTP_204_NO_CONTENT)
