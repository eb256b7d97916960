"""/api/v1/models and /api/v1/jobs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet, ViewSet

from assets.api import AssetSerializer
from generation import catalog, selectors, services
from generation.forecast.outlook import Outlook, outlooks
from generation.models import Job, JobEvent
from mutoscope.accounts.permissions import access
from mutoscope.errors import NotFound

EVENT_ID_DIGITS = 19  # of PostgreSQL's largest bigint


class SizeSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    ratio = serializers.CharField()


class ModelSerializer(serializers.Serializer[Any]):
    """A model that jobs can name, and what may be asked of it."""

    slug = serializers.CharField()
    name = serializers.CharField()
    summary = serializers.CharField()
    diffusion = serializers.BooleanField()
    modes = serializers.ListField(child=serializers.CharField())
    prompt = serializers.CharField(source="prompt.use", help_text="required, optional or ignored")
    sizes = SizeSerializer(many=True)
    default_size = serializers.CharField()
    fps = serializers.ListField(source="frames.fps", child=serializers.IntegerField())
    min_seconds = serializers.FloatField(source="frames.min_seconds")
    max_seconds = serializers.FloatField(source="frames.max_seconds")
    default_seconds = serializers.FloatField(source="frames.default_seconds")
    licence = serializers.CharField(source="licence.name")
    credits_per_second = serializers.IntegerField(source="price.credits_per_second")


@extend_schema(tags=["models"])
class ModelViewSet(ViewSet):
    """The models of this installation."""

    @extend_schema(operation_id="list_models", responses=ModelSerializer(many=True))
    def list(self, request: Request) -> Response:
        return Response(ModelSerializer(catalog.models().values(), many=True).data)

    @extend_schema(
        operation_id="get_model", responses=ModelSerializer, parameters=[OpenApiParameter("id", str, "path")]
    )
    def retrieve(self, request: Request, pk: str) -> Response:
        model = catalog.models().get(pk)
        if model is None:
            raise NotFound(f"there is no model {pk!r}; there are {', '.join(catalog.models())}")
        return Response(ModelSerializer(model).data)


class JobErrorSerializer(serializers.Serializer[Any]):
    code = serializers.CharField(source="error_code")
    message = serializers.CharField(source="error_message")


class QueueSerializer(serializers.Serializer[Outlook]):
    """Where a queued job stands. Paused, throttled or without a worker, it keeps its place and waits."""

    position = serializers.IntegerField(help_text="1 is next. Counted in the order in which jobs are started.")
    throttled = serializers.BooleanField(
        help_text="The workspace runs as many jobs at once as its plan lets it; it goes on when one of them ends."
    )
    paused = serializers.SerializerMethodField(help_text="The operator lets no jobs of its kind start just now.")
    pause_reason = serializers.CharField(source="pause.reason", default="", help_text="Why, if it was told.")
    no_worker = serializers.BooleanField(help_text="Nothing is running that could start it.")

    def get_paused(self, outlook: Outlook) -> bool:
        return outlook.pause is not None


class EtaSerializer(serializers.Serializer[Outlook]):
    """When the clip is expected, by the jobs before it and by how long such jobs have taken of late."""

    starts_at = serializers.DateTimeField(allow_null=True, help_text="Null once it has started.")
    ends_at = serializers.DateTimeField(help_text="The likely time.")
    earliest = serializers.DateTimeField(help_text="In about four cases of five it ends between this time")
    latest = serializers.DateTimeField(help_text="and this one.")


class JobListSerializer(serializers.ListSerializer[Any]):
    """Jobs whose outlooks are found all at once."""

    def to_representation(self, data: Any) -> list[Any]:
        jobs = list(data)
        self.child.outlooks = outlooks(jobs)  # type: ignore[union-attr]
        return super().to_representation(jobs)


class JobSerializer(serializers.ModelSerializer[Job]):
    """A job, complete. `output` is the clip once `state` is succeeded; `error` says why it failed.

    `queue` is null unless it is queued; `eta` is null when it has ended and when nobody can tell.
    """

    picture = serializers.PrimaryKeyRelatedField[Any](read_only=True)
    output = serializers.SerializerMethodField()
    error = serializers.SerializerMethodField()
    queue = serializers.SerializerMethodField()
    eta = serializers.SerializerMethodField()
    outlooks: Mapping[UUID, Outlook] | None = None

    class Meta:
        model = Job
        list_serializer_class = JobListSerializer
        fields = [
            "id", "state", "progress", "model", "mode", "tier", "picture", "prompt", "negative_prompt", "size",
            "width", "height", "seconds", "fps", "frames", "steps", "guidance", "seed", "attempt", "output",
            "error", "queue", "eta", "recipe", "not_before", "deadline", "created_at", "started_at", "ended_at",
        ]  # fmt: skip

    @extend_schema_field(AssetSerializer(allow_null=True))
    def get_output(self, job: Job) -> dict[str, Any] | None:
        clip = job.output
        return dict(AssetSerializer(clip, context=self.context).data) if clip and not clip.deleted_at else None

    @extend_schema_field(JobErrorSerializer(allow_null=True))
    def get_error(self, job: Job) -> dict[str, str] | None:
        return dict(JobErrorSerializer(job).data) if job.state == Job.State.FAILED else None

    @extend_schema_field(QueueSerializer(allow_null=True))
    def get_queue(self, job: Job) -> dict[str, Any] | None:
        found = self._outlook(job)
        return dict(QueueSerializer(found).data) if found and found.position else None

    @extend_schema_field(EtaSerializer(allow_null=True))
    def get_eta(self, job: Job) -> dict[str, Any] | None:
        found = self._outlook(job)
        return dict(EtaSerializer(found).data) if found and found.ends_in else None

    def _outlook(self, job: Job) -> Outlook | None:
        if self.outlooks is None:
            self.outlooks = outlooks([job])
        return self.outlooks.get(job.pk)


class JobRequestSerializer(serializers.Serializer[Any]):
    """What to make. Only `model` is required, and `picture` unless the mode is text-to-video."""

    model = serializers.CharField()
    picture = serializers.UUIDField(required=False, allow_null=True, help_text="The id of an image asset.")
    prompt = serializers.CharField(required=False, allow_blank=True, default="", trim_whitespace=False)
    negative_prompt = serializers.CharField(required=False, allow_blank=True, default="", trim_whitespace=False)
    mode = serializers.CharField(required=False, allow_null=True, help_text="Default: the model's first.")
    size = serializers.CharField(required=False, allow_null=True, help_text="The name of one of the sizes.")
    seconds = serializers.FloatField(required=False, allow_null=True)
    fps = serializers.IntegerField(required=False, allow_null=True)
    steps = serializers.IntegerField(required=False, allow_null=True)
    guidance = serializers.FloatField(required=False, allow_null=True)
    seed = serializers.IntegerField(required=False, allow_null=True, help_text="Default: drawn, and told.")
    tier = serializers.CharField(required=False, allow_null=True, help_text="Default: the plan's first.")
    not_before = serializers.DateTimeField(
        required=False, allow_null=True, help_text="The job joins its queue then; until then it is scheduled."
    )
    deadline = serializers.DateTimeField(
        required=False, allow_null=True, help_text="The job fails when it has not ended by then. Default: by tier."
    )

    def to_request(self) -> services.JobRequest:
        return services.JobRequest(**self.validated_data)


class JobEventSerializer(serializers.ModelSerializer[JobEvent]):
    class Meta:
        model = JobEvent
        fields = ["id", "kind", "attempt", "at", "message"]


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
