"""Jobs, requests for them and estimates, as the API tells and takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from assets.api import AssetSerializer
from assets.models import Asset
from generation import services, settlement
from generation.adapters import AdapterWish
from generation.api.models import PresetSerializer
from generation.forecast.outlook import Outlook, outlooks
from generation.forecast.pace import Span
from generation.models import ClipCheck, Job, JobEvent
from generation.outputs.encoding import LOOPS, MASTER, PROFILES, QUALITIES, Form
from generation.outputs.quality.judgement import DOUBTFUL, GOOD, Problem, verdict_on


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


def told_queue(found: Outlook | None) -> dict[str, Any] | None:
    """The queue's part of an outlook, as JSON; None for what does not wait in its queue."""
    return dict(QueueSerializer(found).data) if found and found.position else None


def told_eta(found: Outlook | None) -> dict[str, Any] | None:
    """The expected end, as JSON; None where there is none or nobody can tell."""
    return dict(EtaSerializer(found).data) if found and found.ends_in else None


class JobListSerializer(serializers.ListSerializer[Any]):
    """Jobs whose outlooks and charges are found all at once."""

    def to_representation(self, data: Any) -> list[Any]:
        jobs = list(data)
        self.child.outlooks = outlooks(jobs)  # type: ignore[union-attr]
        self.child.charges = settlement.charged(jobs)  # type: ignore[union-attr]
        return super().to_representation(jobs)


class AdapterSerializer(serializers.Serializer[Any]):
    """An adapter that a job brings."""

    name = serializers.CharField()
    strength = serializers.FloatField(required=False, allow_null=True, help_text="Default: the adapter's own.")


class QualityProblemSerializer(serializers.Serializer[Problem]):
    code = serializers.CharField()
    sentence = serializers.CharField(help_text='Goes on from "the clip".')


class QualitySerializer(serializers.Serializer[ClipCheck]):
    """What was found in a clip. Broken clips are not kept: they are made once more, from another seed."""

    verdict = serializers.ChoiceField([GOOD, DOUBTFUL])
    problems = serializers.SerializerMethodField()
    figures = serializers.DictField(
        source="measured",
        child=serializers.FloatField(allow_null=True),
        help_text="Name → value, as docs/quality.md defines them; null where one does not apply.",
    )

    @extend_schema_field(QualityProblemSerializer(many=True))
    def get_problems(self, check: ClipCheck) -> Any:
        return [dict(QualityProblemSerializer(problem).data) for problem in verdict_on(check.problems).problems]


def told_check(clip: Asset | None) -> dict[str, Any] | None:
    """The check of a clip, as JSON; None where there is no clip, or it was not checked."""
    check: ClipCheck | None = getattr(clip, "quality", None)
    return dict(QualitySerializer(check).data) if check else None


class EngineShapeSerializer(serializers.Serializer[Job]):
    """What the engine makes; what is over is cropped and trimmed off."""

    width = serializers.IntegerField(source="engine_width")
    height = serializers.IntegerField(source="engine_height")
    frames = serializers.IntegerField(source="engine_frames")


class JobSerializer(serializers.ModelSerializer[Job]):
    """A job, complete. `output` is the clip once `state` is succeeded; `error` says why it failed,
    or why an operator cancelled it.

    `check` is what was found in the clip. `queue` is null unless it is queued; `eta` is null when it has ended
    and when nobody can tell. `credits` is its price; `charged` is what it has cost, null until it has ended.
    """

    picture = serializers.PrimaryKeyRelatedField[Any](read_only=True)
    last_picture = serializers.PrimaryKeyRelatedField[Any](read_only=True)
    sound = serializers.PrimaryKeyRelatedField[Any](read_only=True)
    adapters = AdapterSerializer(many=True, read_only=True)
    engine = EngineShapeSerializer(source="*", read_only=True)
    output = serializers.SerializerMethodField()
    error = serializers.SerializerMethodField()
    queue = serializers.SerializerMethodField()
    eta = serializers.SerializerMethodField()
    charged = serializers.SerializerMethodField()
    check = serializers.SerializerMethodField()
    outlooks: Mapping[UUID, Outlook] | None = None
    charges: Mapping[UUID, int] | None = None

    class Meta:
        model = Job
        list_serializer_class = JobListSerializer
        fields = [
            "id", "state", "progress", "model", "mode", "tier", "picture", "last_picture", "prompt",
            "negative_prompt", "size", "width", "height", "seconds", "fps", "frames", "engine", "preset",
            "adapters", "steps", "guidance", "seed", "is_reseeded", "format", "quality", "output_fps", "loop",
            "sound", "attempt", "output", "check", "error", "queue", "eta", "recipe", "credits", "charged",
            "not_before", "deadline", "created_at", "started_at", "ended_at",
        ]  # fmt: skip

    @extend_schema_field(AssetSerializer(allow_null=True))
    def get_output(self, job: Job) -> dict[str, Any] | None:
        clip = job.output
        return dict(AssetSerializer(clip, context=self.context).data) if clip and not clip.deleted_at else None

    @extend_schema_field(QualitySerializer(allow_null=True))
    def get_check(self, job: Job) -> dict[str, Any] | None:
        return told_check(job.output)

    @extend_schema_field(JobErrorSerializer(allow_null=True))
    def get_error(self, job: Job) -> dict[str, str] | None:
        return dict(JobErrorSerializer(job).data) if job.state in Job.TERMINAL and job.error_code else None

    @extend_schema_field(QueueSerializer(allow_null=True))
    def get_queue(self, job: Job) -> dict[str, Any] | None:
        return told_queue(self._outlook(job))

    @extend_schema_field(EtaSerializer(allow_null=True))
    def get_eta(self, job: Job) -> dict[str, Any] | None:
        return told_eta(self._outlook(job))

    def get_charged(self, job: Job) -> int | None:
        if self.charges is None:
            self.charges = settlement.charged([job])
        return self.charges.get(job.pk)

    def _outlook(self, job: Job) -> Outlook | None:
        if self.outlooks is None:
            self.outlooks = outlooks([job])
        return self.outlooks.get(job.pk)


class JobRequestSerializer(serializers.Serializer[Any]):
    """What to make. Only `model` is required, `picture` unless the mode is t2v, `last_picture` in flf2v."""

    model = serializers.CharField()
    picture = serializers.UUIDField(required=False, allow_null=True, help_text="The id of an image asset.")
    last_picture = serializers.UUIDField(
        required=False, allow_null=True, help_text="The id of the image that the clip ends on: in flf2v alone."
    )
    prompt = serializers.CharField(required=False, allow_blank=True, default="", trim_whitespace=False)
    negative_prompt = serializers.CharField(required=False, allow_blank=True, default="", trim_whitespace=False)
    mode = serializers.CharField(required=False, allow_null=True, help_text="Default: the model's first.")
    size = serializers.CharField(required=False, allow_null=True, help_text="The name of one of the sizes.")
    seconds = serializers.FloatField(required=False, allow_null=True)
    fps = serializers.IntegerField(required=False, allow_null=True)
    preset = serializers.CharField(required=False, allow_null=True, help_text="Default: standard.")
    adapters = AdapterSerializer(many=True, required=False, help_text="In models with `lora`.")
    steps = serializers.IntegerField(required=False, allow_null=True, help_text="Default: the preset's.")
    guidance = serializers.FloatField(required=False, allow_null=True, help_text="Default: the preset's.")
    seed = serializers.IntegerField(required=False, allow_null=True, help_text="Default: drawn, and told.")
    format = serializers.CharField(
        required=False,
        allow_null=True,
        help_text=f"One of {', '.join(PROFILES)}. Default: mp4, if the plan has it.",
    )
    quality = serializers.CharField(
        required=False, allow_null=True, help_text=f"One of {', '.join(QUALITIES)}. Default: {MASTER.quality}."
    )
    output_fps = serializers.IntegerField(
        required=False, allow_null=True, help_text="48 or 60: frames a second that the clip is interpolated to."
    )
    loop = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, help_text=f"{' or '.join(LOOPS)}. Default: no loop."
    )
    sound = serializers.UUIDField(
        required=False, allow_null=True, help_text="The id of an audio asset, which is laid under the clip."
    )
    tier = serializers.CharField(required=False, allow_null=True, help_text="Default: the plan's first.")
    not_before = serializers.DateTimeField(
        required=False, allow_null=True, help_text="The job joins its queue then; until then it is scheduled."
    )
    deadline = serializers.DateTimeField(
        required=False, allow_null=True, help_text="The job fails when it has not ended by then. Default: by tier."
    )

    def to_request(self) -> services.JobRequest:
        given = dict(self.validated_data)
        given["adapters"] = tuple(AdapterWish(**wish) for wish in given.get("adapters", []))
        return services.JobRequest(**given)


class SpanSerializer(serializers.Serializer[Span]):
    """Seconds: the likely ones, and a range that they lie in four times out of five."""

    likely = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()


class ClipSerializer(serializers.Serializer[Any]):
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    frames = serializers.IntegerField()
    fps = serializers.IntegerField()
    seconds = serializers.FloatField()


class FormSerializer(serializers.Serializer[Form]):
    """The form that a clip is delivered in."""

    format = serializers.CharField()
    quality = serializers.CharField()
    output_fps = serializers.IntegerField(source="fps", allow_null=True, help_text="Null: not interpolated.")
    loop = serializers.CharField(help_text="Empty: no loop.")


class EstimateSerializer(serializers.Serializer[services.Estimate]):
    """What a job would come to, were it submitted now. Nothing is made of it.

    `queue` and `eta` are null for a job that would not join its queue now; `eta` also when nobody can tell.
    """

    model = serializers.CharField()
    mode = serializers.CharField()
    tier = serializers.CharField()
    preset = PresetSerializer(allow_null=True)
    size = serializers.CharField()
    seconds = serializers.FloatField(help_text="As asked.")
    engine = ClipSerializer(help_text="What the engine makes: the nearest that it can.")
    clip = ClipSerializer(help_text="What is delivered: the engine's, cropped and trimmed, in the form asked for.")
    form = FormSerializer()
    steps = serializers.IntegerField(allow_null=True)
    guidance = serializers.FloatField(allow_null=True)
    credits = serializers.IntegerField(help_text="The price.")
    credits_available = serializers.IntegerField(
        allow_null=True,
        help_text="What the workspace could spend now: a job that costs more is refused. Null: not metered.",
    )
    engine_seconds = SpanSerializer(help_text="The engine's time for it, without waiting.")
    queue = serializers.SerializerMethodField()
    eta = serializers.SerializerMethodField()

    @extend_schema_field(QueueSerializer(allow_null=True))
    def get_queue(self, estimate: services.Estimate) -> dict[str, Any] | None:
        return told_queue(estimate.outlook)

    @extend_schema_field(EtaSerializer(allow_null=True))
    def get_eta(self, estimate: services.Estimate) -> dict[str, Any] | None:
        return told_eta(estimate.outlook)


class JobEventSerializer(serializers.ModelSerializer[JobEvent]):
    class Meta:
        model = JobEvent
        fields = ["id", "kind", "attempt", "at", "message"]
