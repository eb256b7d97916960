"""/api/v1/models: what jobs may name and ask."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from generation import catalog, offers
from generation.catalog.schema import Model
from generation.prices import PriceTable, price_table
from mutoscope.errors import NotFound


class SizeSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    ratio = serializers.CharField()


class PresetSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    changes = serializers.CharField(help_text="What it changes in the picture and in the time it takes.")
    steps = serializers.IntegerField(allow_null=True, help_text="Null: the model's.")
    guidance = serializers.FloatField(allow_null=True, help_text="Null: the model's.")


class CanvasSerializer(serializers.Serializer[Any]):
    multiple = serializers.IntegerField(help_text="Width and height that the engine makes are multiples of this.")


class FrameRuleSerializer(serializers.Serializer[Any]):
    """The engine makes multiple × k + plus frames; what is over is trimmed."""

    multiple = serializers.IntegerField()
    plus = serializers.IntegerField()
    fewest = serializers.IntegerField()
    most = serializers.IntegerField(allow_null=True, help_text="Null is no limit.")


class SamplingSerializer(serializers.Serializer[Any]):
    steps = serializers.IntegerField()
    min_steps = serializers.IntegerField()
    max_steps = serializers.IntegerField()
    guidance = serializers.FloatField()
    negative_prompt = serializers.CharField(help_text="What is taken where a job names none.")


class PriceSerializer(serializers.Serializer[PriceTable]):
    """A clip costs credits_per_second × seconds × the factors of its size, preset and tier, rounded up.

    More steps than the preset has cost in proportion. An estimate tells the exact price.
    """

    credits_per_second = serializers.IntegerField(help_text="Of the default size, with the standard preset.")
    sizes = serializers.DictField(child=serializers.FloatField())
    presets = serializers.DictField(child=serializers.FloatField(), help_text="Empty in models that have none.")
    tiers = serializers.DictField(child=serializers.FloatField())


class ModelSerializer(serializers.Serializer[Any]):
    """A model that jobs can name, and what may be asked of it.

    One that is not `available` is in the catalog, but refuses jobs (`model_unavailable`); `why_not` says why.
    """

    slug = serializers.CharField()
    name = serializers.CharField()
    summary = serializers.CharField()
    diffusion = serializers.BooleanField()
    modes = serializers.ListField(child=serializers.CharField())
    prompt = serializers.CharField(source="prompt.use", help_text="required, optional or ignored")
    needs_portrait = serializers.BooleanField(
        help_text="The picture must show one face, large, straight and evenly lit: see POST /assets/{id}/portrait."
    )
    sizes = SizeSerializer(many=True)
    default_size = serializers.CharField()
    fps = serializers.ListField(source="frames.fps", child=serializers.IntegerField())
    min_seconds = serializers.FloatField(source="frames.min_seconds")
    max_seconds = serializers.FloatField(source="frames.max_seconds")
    default_seconds = serializers.FloatField(source="frames.default_seconds")
    licence = serializers.CharField(source="licence.name")
    credits_per_second = serializers.IntegerField(source="price.credits_per_second")
    price = serializers.SerializerMethodField()
    canvas = CanvasSerializer()
    frames = FrameRuleSerializer()
    sampling = SamplingSerializer(allow_null=True, help_text="Null in models that do not denoise.")
    presets = PresetSerializer(many=True, help_text="Empty in models that have none; `standard` is the default.")
    lora = serializers.BooleanField(help_text="Whether jobs may bring adapters.")
    available = serializers.SerializerMethodField(help_text="Whether jobs for it are taken here.")
    why_not = serializers.SerializerMethodField(help_text="Empty where it is available.")

    @extend_schema_field(PriceSerializer)
    def get_price(self, model: Model) -> dict[str, Any]:
        return dict(PriceSerializer(price_table(model)).data)

    def get_available(self, model: Model) -> bool:
        return not self.get_why_not(model)

    def get_why_not(self, model: Model) -> str:
        reasons: dict[str, str] = self.context["why_not"]
        return reasons.get(model.slug, "")


@extend_schema(tags=["models"])
class ModelViewSet(ViewSet):
    """The models of this installation."""

    @extend_schema(operation_id="list_models", responses=ModelSerializer(many=True))
    def list(self, request: Request) -> Response:
        context = {"why_not": offers.why_not_all()}
        return Response(ModelSerializer(catalog.models().values(), many=True, context=context).data)

    @extend_schema(
        operation_id="get_model", responses=ModelSerializer, parameters=[OpenApiParameter("id", str, "path")]
    )
    def retrieve(self, request: Request, pk: str) -> Response:
        model = catalog.models().get(pk)
        if model is None:
            raise NotFound(f"there is no model {pk!r}; there are {', '.join(catalog.models())}")
        return Response(ModelSerializer(model, context={"why_not": {model.slug: offers.why_not(model)}}).data)
