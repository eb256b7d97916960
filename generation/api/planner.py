"""/api/v1/planner: GPUs, costs and waits for a demand. For operators: it tells what clips cost the platform."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing.models import GpuPrice
from generation.planner.demand import PROFILES, WORKING_DAY
from generation.planner.plan import Choice, Costs, Plan, plan
from generation.planner.question import Question
from mutoscope.accounts.permissions import ForOperators, MayUseWorkspace


class QuestionSerializer(serializers.Serializer[Any]):
    """What to plan for."""

    clips_per_day = serializers.IntegerField()
    seconds = serializers.FloatField(help_text="Of one clip.")
    model = serializers.CharField(help_text="A model's slug, or a name such as ltx-video.")
    size = serializers.CharField(required=False, help_text="Default: the model's.")
    preset = serializers.CharField(required=False, help_text="Default: the model as published.")
    gpu = serializers.CharField(
        required=False, help_text="As the price book or the driver calls it. Default: the cheapest for a second."
    )
    market = serializers.ChoiceField(
        GpuPrice.Market.choices, required=False, help_text="Whose prices the GPU is chosen by. Default: the lower."
    )
    fleet = serializers.IntegerField(
        required=False,
        help_text="GPUs whose waits are asked for. Default: as many as are needed, and more until the tiers' "
        "promises are kept.",
    )
    profile = serializers.ChoiceField(
        list(PROFILES), default=WORKING_DAY, help_text="When in the day clips are asked for."
    )
    workspaces = serializers.IntegerField(default=10, help_text="Among which the clips are spread evenly.")
    plan = serializers.CharField(
        required=False, help_text="The workspaces' plan, for its limit on concurrent jobs. Default: no limit."
    )
    tiers = serializers.CharField(default="paid", help_text="Tiers with their shares, as paid=7,free=3.")
    seed = serializers.IntegerField(default=1, help_text="Of the simulated arrivals.")

    def to_question(self) -> Question:
        """The question, checked. Raises `ImpossiblePlan`."""
        return Question.in_words(**self.validated_data)


class RateSerializer(serializers.Serializer[Any]):
    """An hour of the GPU."""

    market = serializers.CharField()
    usd_per_hour = serializers.FloatField()
    effective_from = serializers.DateField()
    source = serializers.CharField()  # type: ignore[assignment]
    is_estimate = serializers.BooleanField(help_text="Taken over from a publication, not from your own bill.")


class OutlaySerializer(serializers.Serializer[Any]):
    """Dollars; a month has 30 days. `as_needed` pays for the GPU-hours of the work alone, `always_on` for as many
    GPUs as the busiest hour needs, around the clock; `gpu` is one of them around the clock."""

    rate = RateSerializer()
    usd_per_second = serializers.FloatField(help_text="For a finished second, while the GPU is busy.")
    as_needed_day = serializers.FloatField()
    as_needed_month = serializers.FloatField()
    always_on_day = serializers.FloatField()
    always_on_month = serializers.FloatField()
    gpu_day = serializers.FloatField()
    gpu_month = serializers.FloatField()


class ComparisonSerializer(serializers.Serializer[Any]):
    """A hosted service's price held against this cost."""

    name = serializers.CharField(source="peer.name")
    times_cheaper = serializers.FloatField(
        source="times", allow_null=True, help_text="The service's price of a second over the own cost of one."
    )
    times_cheaper_rounded = serializers.FloatField(
        source="times_rounded", allow_null=True, help_text="The same, the own cost rounded to a tenth of a cent."
    )
    break_even_clips_per_day = serializers.FloatField(
        source="always_on_clips",
        allow_null=True,
        help_text="From so many on one GPU around the clock costs less than the service. Null: it never does.",
    )
    break_even_clips_per_gpu_hour = serializers.FloatField(
        source="hourly_clips",
        allow_null=True,
        help_text="From so many on an hour does, of a GPU that is rented only while there is work.",
    )


class ThroughputSerializer(serializers.Serializer[Any]):
    """Of 720p video with the model as published."""

    seconds_per_hour = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    is_measured = serializers.BooleanField(help_text="On this installation; otherwise an estimate.")
    samples = serializers.IntegerField()
    source = serializers.CharField()  # type: ignore[assignment]


class CostsSerializer(OutlaySerializer):
    """The demand in one market."""

    comparisons = ComparisonSerializer(many=True)

    def to_representation(self, costs: Costs) -> Any:
        told = OutlaySerializer(costs.outlay).data
        return {**told, "comparisons": ComparisonSerializer(costs.comparisons, many=True).data}


class ChoiceSerializer(serializers.Serializer[Choice]):
    """The demand on one kind of GPU."""

    gpu = serializers.CharField(source="capacity.gpu")
    memory_plan = serializers.CharField(source="capacity.memory_plan")
    throughput = ThroughputSerializer(source="capacity.throughput")
    seconds_per_hour = serializers.FloatField(
        source="capacity.seconds_per_hour", help_text="Of the asked-for video: by its pixels and steps."
    )
    gpu_hours_per_day = serializers.FloatField(source="gpu_hours")
    gpus_needed = serializers.IntegerField(source="gpus", help_text="That keep up in the busiest hour.")
    on_demand = CostsSerializer(source="costs.on_demand", allow_null=True, default=None)
    spot = CostsSerializer(source="costs.spot", allow_null=True, default=None)


class TierWaitsSerializer(serializers.Serializer[Any]):
    """Seconds from being asked for to the start on a GPU."""

    clips = serializers.IntegerField(help_text="That were simulated.")
    mean = serializers.FloatField()
    p50 = serializers.FloatField()
    p95 = serializers.FloatField()
    p99 = serializers.FloatField()


class FleetWaitsSerializer(serializers.Serializer[Any]):
    """Waits in a fleet."""

    gpus = serializers.IntegerField()
    busy = serializers.FloatField(help_text="Share of the time that its GPUs work.")
    tiers = serializers.DictField(
        child=TierWaitsSerializer(), help_text="By tier; empty where the fleet cannot keep up."
    )
    keeps_promises = serializers.BooleanField(help_text="In every tier the p95 is within the tier's promise.")


class PeerSerializer(serializers.Serializer[Any]):
    """A hosted service's price for the same demand."""

    name = serializers.CharField(source="price.name")
    usd_per_second = serializers.FloatField(source="price.usd_per_second")
    as_of = serializers.DateField(source="price.as_of")
    source = serializers.CharField(source="price.source")  # type: ignore[assignment]
    usd_per_day = serializers.FloatField()
    usd_per_month = serializers.FloatField()


class PlanSerializer(serializers.Serializer[Plan]):
    """A plan. Estimates say so: speeds by `throughput.is_measured`, prices by `rate.is_estimate`."""

    model = serializers.CharField(source="question.entry.slug")
    size = serializers.CharField(source="question.chosen_size.name")
    preset = serializers.CharField(source="question.chosen_preset")
    clips_per_day = serializers.IntegerField(source="question.clips_per_day")
    seconds = serializers.FloatField(source="question.seconds")
    on = serializers.DateField(help_text="Of whose prices it goes by.")
    seconds_per_day = serializers.FloatField(help_text="Of finished video.")
    is_estimate = serializers.BooleanField(help_text="Speed or price are not this installation's own.")
    chosen = ChoiceSerializer()
    choices = ChoiceSerializer(many=True, help_text="Every GPU that could do it, the cheapest first.")
    peers = PeerSerializer(many=True)
    waits = FleetWaitsSerializer(many=True)
    no_waits = serializers.CharField(help_text="Why no waits were simulated; empty where they were.")


@extend_schema(tags=["operations"])
class PlannerView(APIView):
    """What a demand for clips takes."""

    permission_classes = [MayUseWorkspace, ForOperators]

    @extend_schema(
        operation_id="plan_capacity",
        parameters=[QuestionSerializer],
        responses=PlanSerializer,
        description="GPUs, hours, dollars on demand and spot, hosted services' prices, break-even, and simulated "
        "waits for a demand. For operators alone, because it tells what clips cost the platform: an operator's "
        "session, or an API key that an operator has made.",
    )
    def get(self, request: Request) -> Response:
        asked = QuestionSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        return Response(PlanSerializer(plan(asked.to_question())).data)
