"""/api/v1/usage and /api/v1/credits: what was used, and what is left."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing import ledger
from billing.entitlements import entitlements_of
from billing.ledger import Lot
from billing.renewals import available
from generation import usage, usage_csv
from generation.quotas import Quota, quotas_of
from generation.usage import Grouping, InvalidPeriod, Period, Use
from mutoscope.accounts.permissions import access

_FROM = OpenApiParameter(
    "from", OpenApiTypes.DATE, description="The first day, in UTC. Default: the first of the last day's month."
)
_TO = OpenApiParameter("to", OpenApiTypes.DATE, description="The last day, itself included. Default: today.")
_LONGEST = f"At most {usage.LONGEST} days. A job counts on the day it ended."


class UseSerializer(serializers.Serializer[Use]):
    jobs = serializers.IntegerField(help_text="That ended.")
    clips = serializers.IntegerField(help_text="Of those, the ones that succeeded.")
    seconds = serializers.FloatField(help_text="Of finished video.")
    credits = serializers.IntegerField(help_text="That were paid. What is held for jobs under way is not in it.")


class UseRowSerializer(UseSerializer):
    day = serializers.DateField(allow_null=True, help_text="Null where days are not told apart.")
    model = serializers.CharField(allow_null=True, help_text="Null where models are not told apart.")


class UsageSerializer(serializers.Serializer[Any]):
    """What ended from the first day to the last, both included: in all, and by what was asked to group by."""

    first_day = serializers.DateField()
    last_day = serializers.DateField()
    group_by = serializers.ListField(child=serializers.ChoiceField(choices=[group.value for group in Grouping]))
    total = UseSerializer()
    rows = UseRowSerializer(many=True, help_text="Only those in which a job ended.")


class LotSerializer(serializers.Serializer[Lot]):
    """Credits of one grant or purchase that are left."""

    credits = serializers.IntegerField()
    expires_at = serializers.DateTimeField(allow_null=True, help_text="Null: they do not expire.")


class QuotaSerializer(serializers.Serializer[Quota]):
    limit = serializers.CharField(help_text="Such as seconds_per_day; refusals name it likewise.")
    used = serializers.FloatField()
    allowed = serializers.FloatField(allow_null=True, help_text="Null is no limit.")
    resets_at = serializers.DateTimeField(allow_null=True, help_text="Null where it does not begin anew by time.")


class WorkspacePlanSerializer(serializers.Serializer[Any]):
    """The plan that the workspace is on."""

    slug = serializers.CharField()
    name = serializers.CharField()


class CreditsSerializer(serializers.Serializer[Any]):
    """The plan with its limits, and the credits."""

    plan = WorkspacePlanSerializer()
    metered = serializers.BooleanField(source="plan.is_metered", help_text="Whether jobs cost credits.")
    available = serializers.IntegerField(
        help_text="To spend now. Those of this month are in it, even if no job has asked for them yet."
    )
    held = serializers.IntegerField(help_text="For jobs that have not ended.")
    lots = LotSerializer(many=True, help_text="Soonest to expire first: so they are spent.")
    limits = QuotaSerializer(many=True)


@extend_schema(tags=["usage"])
class UsageView(APIView):
    """Jobs, clips, seconds of finished video and credits, by day and model."""

    scopes: ClassVar[dict[str, str]] = {"read": "jobs:read"}

    @extend_schema(
        operation_id="usage",
        description=_LONGEST,
        responses=UsageSerializer,
        parameters=[
            _FROM,
            _TO,
            OpenApiParameter("group_by", str, description="day, model, or day,model (the default)."),
        ],
    )
    def get(self, request: Request) -> Response:
        period = _period(request)
        by = _grouping(request.query_params.get("group_by", ""))
        rows = usage.used(access(request).workspace, period, by)
        found = {"first_day": period.first, "last_day": period.last, "group_by": by, "rows": rows}
        return Response(UsageSerializer({**found, "total": usage.total(rows)}).data)


@extend_schema(tags=["usage"])
class UsageFileView(APIView):
    """A line for each job that ended in the period."""

    scopes: ClassVar[dict[str, str]] = {"read": "jobs:read"}

    @extend_schema(
        operation_id="usage_csv",
        description=f"{_LONGEST} The columns are {', '.join(usage_csv.COLUMNS)}.",
        responses={(200, "text/csv"): OpenApiTypes.STR},
        parameters=[_FROM, _TO],
    )
    def get(self, request: Request) -> HttpResponseBase:
        return usage_csv.download(access(request).workspace, _period(request))


@extend_schema(tags=["usage"])
class CreditsView(APIView):
    """What the workspace may use now."""

    scopes: ClassVar[dict[str, str]] = {"read": "jobs:read"}

    @extend_schema(operation_id="credits", responses=CreditsSerializer)
    def get(self, request: Request) -> Response:
        workspace = access(request).workspace.pk
        plan, balance = entitlements_of(workspace), ledger.balance(workspace)
        found = {
            "plan": plan,
            "available": available(workspace, plan),
            "held": balance.held,
            "lots": balance.lots,
            "limits": quotas_of(workspace, plan),
        }
        return Response(CreditsSerializer(found).data)


def _period(request: Request) -> Period:
    return usage.period_of(request.query_params.get("from", ""), request.query_params.get("to", ""))


def _grouping(text: str) -> list[Grouping]:
    """What `group_by` names, each once, in its order."""
    names = [name.strip() for name in text.split(",")] if text else list(Grouping)
    unknown = sorted(set(names) - set(Grouping))
    if unknown:
        rule = f"group_by must be of {', '.join(Grouping)}, but names {', '.join(map(repr, unknown))}"
        raise InvalidPeriod(rule, code="invalid", field="group_by")
    return [Grouping(name) for name in dict.fromkeys(names)]
