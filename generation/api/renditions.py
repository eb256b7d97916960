"""/api/v1/assets/{id}/renditions and /reissue: clips in other forms, and without the mark."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from assets.models import Asset, Rendition
from assets.storage import media
from generation.outputs.encoding import LOOPS, PROFILES, QUALITIES
from generation.outputs.renditions import asking
from generation.outputs.renditions.originals import Wish
from mutoscope.accounts.permissions import access

USUAL = Wish()


class FormSerializer(serializers.Serializer[Any]):
    """The form that is wanted; what is left out is the clip's own."""

    format = serializers.CharField(
        required=False, default=USUAL.format, help_text=f"One of {', '.join(PROFILES)}."
    )
    quality = serializers.CharField(
        required=False, default=USUAL.quality, help_text=f"One of {', '.join(QUALITIES)}."
    )
    fps = serializers.IntegerField(
        required=False, allow_null=True, help_text="Frames a second. More than the clip has are interpolated."
    )
    width = serializers.IntegerField(
        required=False, allow_null=True, help_text="Pixels, the clip's own at most; the height follows."
    )
    loop = serializers.CharField(
        required=False,
        allow_blank=True,
        allow_null=True,
        default=None,
        help_text=f"How its end meets its beginning: {', '.join(LOOPS)}, or empty for not at all.",
    )

    def to_wish(self) -> Wish:
        return Wish(**self.validated_data)


class RenditionSerializer(serializers.ModelSerializer[Rendition]):
    """A clip in another form. `url` is null until `state` is ready, and works without a key until it expires;
    `error` says why it could not be made, or why the last try failed."""

    asset = serializers.PrimaryKeyRelatedField[Asset](read_only=True)
    url = serializers.SerializerMethodField()
    download_url = serializers.SerializerMethodField()
    error = serializers.SerializerMethodField()

    class Meta:
        model = Rendition
        fields = [
            "id", "asset", "state", "error", "format", "quality", "fps", "width", "loop", "url", "download_url",
            "media_type", "size_bytes", "sha256", "created_at",
        ]  # fmt: skip

    def get_url(self, rendition: Rendition) -> str | None:
        return rendition.file.url if rendition.state == Rendition.State.READY else None

    def get_download_url(self, rendition: Rendition) -> str | None:
        is_ready = rendition.state == Rendition.State.READY
        return media().download_url(rendition.file.name, rendition.file_name) if is_ready else None

    def get_error(self, rendition: Rendition) -> str | None:
        return rendition.error or None


class ReissueSerializer(serializers.Serializer[Any]):
    """How far the new file is. The clip's `url` leads to it once `is_marked` is false."""

    state = serializers.ChoiceField(
        choices=Rendition.State.choices, allow_null=True, help_text="Null: none is under way, nor has one failed."
    )
    error = serializers.CharField(
        allow_null=True, help_text="Why it could not be made, or why the last try failed."
    )
    is_marked = serializers.BooleanField(help_text="Whether the clip's file carries a visible mark.")


class _ClipView(APIView):
    scopes: ClassVar[dict[str, str]] = {"read": "assets:read", "write": "assets:write"}


@extend_schema(tags=["assets"])
class RenditionsView(_ClipView):
    """A clip's other forms."""

    @extend_schema(
        operation_id="list_renditions",
        responses=RenditionSerializer(many=True),
        description="Those with the visible mark that holds now, newest first.",
    )
    def get(self, request: Request, asset_id: UUID) -> Response:
        found = asking.renditions_of(access(request).workspace, asset_id)
        return Response(RenditionSerializer(found, many=True).data)

    @extend_schema(
        operation_id="create_rendition",
        request=FormSerializer,
        responses={200: RenditionSerializer, 202: RenditionSerializer},
        description="The clip in that form: 200 when it is ready, 202 while it is still to be made. It is made "
        "once: the same form gives the same rendition.",
    )
    def post(self, request: Request, asset_id: UUID) -> Response:
        asked = FormSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        rendition = asking.ask(access(request), asset_id, asked.to_wish())
        return Response(RenditionSerializer(rendition).data, status=_status(rendition))


@extend_schema(tags=["assets"])
class RenditionView(_ClipView):
    """One other form of a clip."""

    @extend_schema(operation_id="get_rendition", responses=RenditionSerializer)
    def get(self, request: Request, asset_id: UUID, rendition_id: UUID) -> Response:
        found = asking.rendition_of(access(request).workspace, asset_id, rendition_id)
        return Response(RenditionSerializer(found).data)


@extend_schema(tags=["assets"])
class ReissueView(_ClipView):
    """A clip's own file, without the visible mark."""

    @extend_schema(operation_id="get_reissue", responses=ReissueSerializer)
    def get(self, request: Request, asset_id: UUID) -> Response:
        clip = asking.clip_of(access(request).workspace, asset_id)
        return Response(_reissue(clip, asking.reissue_of(clip)))

    @extend_schema(
        operation_id="reissue_asset",
        request=None,
        responses={202: ReissueSerializer},
        description="Make the clip's file anew from its master, without the visible mark, where the plan has such "
        "clips now. The new file takes the place of the old one, whose links end.",
    )
    def post(self, request: Request, asset_id: UUID) -> Response:
        rendition = asking.reissue(access(request), asset_id)
        return Response(_reissue(rendition.asset, rendition), status=status.HTTP_202_ACCEPTED)


def _reissue(clip: Asset, rendition: Rendition | None) -> dict[str, Any]:
    told = {
        "state": rendition.state if rendition else None,
        "error": (rendition.error or None) if rendition else None,
        "is_marked": clip.is_marked,
    }
    return dict(ReissueSerializer(told).data)


def _status(rendition: Rendition) -> int:
    return status.HTTP_200_OK if rendition.state == Rendition.State.READY else status.HTTP_202_ACCEPTED
