"""/api/v1/jobs: submitting, estimating, following and cancelling."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from generation import selectors, services
from generation.api.shapes import EstimateSerializer, JobEventSerializer, JobRequestSerializer, JobSerializer
from generation.models import Job
from mutoscope.accounts.permissions import access

EVENT_ID_DIGITS = 19  # of PostgreSQL's largest bigint


class MomentFilter(django_filters.IsoDateTimeFilter):
    """A moment in any offset that ISO 8601 allows; PostgreSQL is asked in UTC, for it allows fewer."""

    def filter(self, qs: QuerySet[Job], value: datetime | None) -> QuerySet[Job]:
        if value is not None:
            try:
                value = value.astimezone(UTC)
            except OverflowError as error:
                rule = f"must lie within the years 1 to 9999 in UTC, but is {value.isoformat()}"
                raise serializers.ValidationError({self.field_name: [rule]}) from error
        return super().filter(qs, value)  # type: ignore[no-any-return]


class StateFilter(django_filters.CharFilter):
    """States, given several times or with commas."""

    def filter(self, jobs: QuerySet[Job], value: str) -> QuerySet[Job]:
        given = self.parent.data
        values = given.getlist("state") if hasattr(given, "getlist") else [value]
        states = {state.strip() for part in values if part for state in part.split(",")}
        unknown = sorted(states - set(Job.State.values))
        if unknown:
            raise serializers.ValidationError(
                {"state": [f"must be of {', '.join(Job.State.values)}, but is {', '.join(unknown)!r}"]}
            )
        return jobs.filter(state__in=states) if states else jobs


class JobFilter(django_filters.FilterSet):
    """`state` may be given several times, or with commas."""

    state = StateFilter(help_text="One of the states or several, with commas or given several times.")
    # Not a choice among assets: the answer would tell whether another workspace has one of this id.
    picture = django_filters.UUIDFilter(field_name="picture_id")
    created_after = MomentFilter(field_name="created_at", lookup_expr="gte")
    created_before = MomentFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = Job
        fields = ["model", "tier"]


@extend_schema(tags=["jobs"])
@extend_schema_view(list=extend_schema(operation_id="list_jobs"))
class JobViewSet(mixins.ListModelMixin, GenericViewSet[Job]):
    """The workspace's jobs."""

    serializer_class = JobSerializer
    filterset_class = JobFilter
    queryset = Job.objects.none()
    lookup_value_converter = "uuid"
    scopes: ClassVar[dict[str, str]] = {"read": "jobs:read", "write": "jobs:write"}

    def get_queryset(self) -> QuerySet[Job]:
        if getattr(self, "swagger_fake_view", False):
            return self.queryset
        return selectors.jobs(access(self.request).workspace)

    @extend_schema(operation_id="get_job")
    def retrieve(self, request: Request, pk: UUID) -> Response:
        return Response(self.get_serializer(selectors.job(access(request).workspace, pk)).data)

    @extend_schema(
        operation_id="create_job",
        request=JobRequestSerializer,
        responses={201: JobSerializer},
        parameters=[
            OpenApiParameter(
                "Idempotency-Key",
                str,
                OpenApiParameter.HEADER,
                description="Sent again with the same body, it gives the same job and makes no second one.",
            )
        ],
    )
    def create(self, request: Request) -> Response:
        asked = JobRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        job = services.submit(
            access(request), asked.to_request(), idempotency_key=request.headers.get("Idempotency-Key", "")
        )
        return Response(self.get_serializer(job).data, status=status.HTTP_201_CREATED)

    @extend_schema(
        operation_id="estimate_job",
        request=JobRequestSerializer,
        responses=EstimateSerializer,
        filters=False,
        description="What a job would come to: the same body and the same checks as for a job, but none is made.",
    )
    @action(detail=False, methods=["post"], pagination_class=None, filterset_class=None)
    def estimate(self, request: Request) -> Response:
        asked = JobRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        return Response(EstimateSerializer(services.estimate(access(request), asked.to_request())).data)

    @extend_schema(operation_id="cancel_job", request=None, responses=JobSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: UUID) -> Response:
        return Response(self.get_serializer(services.cancel(access(request), pk)).data)

    @extend_schema(
        operation_id="list_job_events",
        responses=JobEventSerializer(many=True),
        parameters=[OpenApiParameter("after", int, description="Only events with a greater id.")],
        description="What has happened to the job so far. To be told live, use `events/stream`, which sends "
        "server-sent events: `job` (the whole job, first of all and at every change of state), `queue` (its "
        "`queue` and `eta`, when they change while it waits) and `progress` (`progress`, `step`, `steps`).",
        filters=False,
    )
    @action(detail=True, pagination_class=None, filterset_class=None)
    def events(self, request: Request, pk: UUID) -> Response:
        found = selectors.events(access(request).workspace, pk)
        after = request.query_params.get("after", "0")
        if not (after.isdecimal() and len(after) < EVENT_ID_DIGITS):
            raise serializers.ValidationError({"after": [f"must be the id of an event, but is {after!r}"]})
        return Response(JobEventSerializer(found.filter(id__gt=int(after)), many=True).data)
