"""What people may do with jobs: ask for one, and cancel one."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from assets.models import Asset
from assets.selectors import asset_of
from billing.models import Plan
from billing.selectors import plan_of
from generation import catalog, licences, transitions
from generation.catalog.schema import Mode, Model, Size
from generation.errors import AlreadyEnded, IdempotencyMismatch, InvalidJob, LimitReached
from generation.forecast.pace import expected_ms
from generation.models import MAX_SEED, Attempt, Job, JobEvent
from generation.scheduling import flows
from generation.scheduling.lanes import Lane
from mutoscope.accounts.models import Workspace
from mutoscope.accounts.selectors import Access
from mutoscope.clock import database_time
from mutoscope.errors import NotFound

KEY_LENGTH = 255
LATEST_START = timedelta(days=90)
"""So far ahead may a job be scheduled."""
LATEST_DEADLINE = timedelta(days=30)
"""So long after it may begin may a job's deadline lie."""
MAX_GUIDANCE = 100.0
"""Far above what any model makes sense of; it keeps out infinity and slips of the keyboard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """What somebody asks for; None takes the model's or the plan's default."""

    model: str
    picture: UUID | None = None
    prompt: str = ""
    negative_prompt: str = ""
    mode: str | None = None
    size: str | None = None
    seconds: float | None = None
    fps: int | None = None
    steps: int | None = None
    guidance: float | None = None
    seed: int | None = None
    tier: str | None = None
    not_before: datetime | None = None
    deadline: datetime | None = None

    def digest(self) -> str:
        """The same for the same request: what an idempotency key is held against."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True, default=str).encode()).hexdigest()


def submit(access: Access, request: JobRequest, *, idempotency_key: str = "") -> Job:
    """Check the request, make the job and send its ticket. The same key and request give the same job.

    Raises `InvalidJob`, `LimitReached`, `IdempotencyMismatch` or `NotFound`.
    """
    if idempotency_key:
        earlier = _earlier(access.workspace, idempotency_key, request)
        if earlier:
            return earlier
    plan = plan_of(access.workspace.pk)
    job = _fill_in(access, plan, request)
    job.idempotency_key = idempotency_key
    job.request_digest = request.digest()
    with transaction.atomic():
        flows.lock(access.workspace.pk)  # parallel submissions of one workspace come one after the other
        faster = _earlier(access.workspace, idempotency_key, request) if idempotency_key else None
        if faster:
            return faster
        _check_room(access.workspace, plan)
        transitions.begin(job, plan)
    return job


def cancel(access: Access, job_id: UUID) -> Job:
    """Cancel a job that has not ended; a worker that is on it stops within one step.

    Cancelling twice is no error. Raises `NotFound`, or `AlreadyEnded` for a job that succeeded or failed.
    """
    changed = Job.objects.filter(pk=job_id, workspace=access.workspace).exists() and transitions.move(
        job_id,
        JobEvent.Kind.CANCELLED,
        come_from=Job.ACTIVE,
        to=Job.State.CANCELLED,
        outcome=Attempt.Outcome.CANCELLED,
    )
    job = Job.objects.select_related("picture", "output").filter(pk=job_id, workspace=access.workspace).first()
    if job is None:
        raise NotFound(f"no job has the id {job_id}")
    if not changed and job.state != Job.State.CANCELLED:
        raise AlreadyEnded(f"a job can be cancelled until it has ended, but this one is {job.state}")
    return job


def _earlier(workspace: Workspace, key: str, request: JobRequest) -> Job | None:
    if len(key) > KEY_LENGTH:
        raise InvalidJob(
            f"an idempotency key may have at most {KEY_LENGTH} characters, but this one has {len(key)}",
            field="Idempotency-Key",
        )
    job = Job.objects.select_related("picture", "output").filter(workspace=workspace, idempotency_key=key).first()
    if job and job.request_digest != request.digest():
        raise IdempotencyMismatch(
            f"the idempotency key {key!r} came with a different request before; use a new key for a new job",
            field="Idempotency-Key",
        )
    return job


def _check_room(workspace: Workspace, plan: Plan) -> None:
    waiting = Job.objects.filter(workspace=workspace, state__in=Job.WAITING).count()
    if waiting >= plan.queued_jobs:
        raise LimitReached(
            f"the plan {plan.name} lets {plan.queued_jobs} jobs wait at once, and {waiting} are waiting; "
            "try again when one has started",
            limit=plan.queued_jobs,
        )


def _fill_in(access: Access, plan: Plan, request: JobRequest) -> Job:
    """The complete job, every default taken and every rule of the catalog and the plan checked."""
    model = catalog.models().get(request.model)
    if model is None:
        raise InvalidJob(_one_of("model", catalog.models(), request.model), field="model")
    refusal = licences.refusal(model)
    if refusal:
        raise InvalidJob(refusal, field="model", code="licence_not_accepted")
    mode = request.mode or model.modes[0]
    if mode not in model.modes:
        raise InvalidJob(_one_of("mode", model.modes, mode), field="mode")
    tier = request.tier or plan.tiers[0]
    if tier not in plan.tiers:
        raise InvalidJob(f"{_one_of('tier', plan.tiers, tier)} (plan {plan.name})", field="tier")
    size, seconds, fps = _shape(model, request)
    _check_prompt(model, request)
    engine_width, engine_height = model.canvas.around(size.width, size.height)
    sampling = _sampling(model, request)
    now = database_time()
    job = Job(
        workspace=access.workspace,
        created_by=access.user,
        api_key=access.key,
        model=model.slug,
        tier=tier,
        lane=str(Lane(model.slug, tier)),
        mode=mode,
        picture=_picture(access.workspace, Mode(mode), request.picture),
        prompt=request.prompt.strip(),
        negative_prompt=_negative_prompt(model, request),
        size=size.name,
        width=size.width,
        height=size.height,
        seconds=seconds,
        fps=fps,
        frames=model.frames.asked(seconds, fps),
        engine_width=engine_width,
        engine_height=engine_height,
        engine_frames=model.frames.count(seconds, fps),
        seed=_seed(request.seed),
        created_at=now,
        **_times(request, tier, now),
        **sampling,
    )
    job.work_ms = expected_ms(job)
    return job


def _times(request: JobRequest, tier: str, now: datetime) -> dict[str, Any]:
    """When the job joins its lane, and until when it must have ended."""
    start = request.not_before
    if start is not None and start > now + LATEST_START:
        raise InvalidJob(
            f"not_before may lie at most {LATEST_START.days} days ahead, but is {start.isoformat()}",
            field="not_before",
        )
    begins = max(start, now) if start else now
    deadline = request.deadline or begins + settings.TIER_DEADLINES[tier]
    if not begins < deadline <= begins + LATEST_DEADLINE:
        rule = f"after {begins.isoformat()} and at most {LATEST_DEADLINE.days} days later"
        raise InvalidJob(f"deadline must lie {rule}, but is {deadline.isoformat()}", field="deadline")
    if start is not None and start > now:
        return {"state": Job.State.SCHEDULED, "not_before": start, "deadline": deadline}
    return {"queued_at": now, "not_before": start, "deadline": deadline}


def _shape(model: Model, request: JobRequest) -> tuple[Size, float, int]:
    size = model.size(request.size or model.default_size)
    if size is None:
        raise InvalidJob(_one_of("size", [s.name for s in model.sizes], request.size), field="size")
    frames = model.frames
    seconds = frames.default_seconds if request.seconds is None else request.seconds
    if not frames.min_seconds <= seconds <= frames.max_seconds:
        raise InvalidJob(
            f"seconds must be between {frames.min_seconds:g} and {frames.max_seconds:g}, but is {seconds:g}",
            field="seconds",
        )
    fps = frames.fps[0] if request.fps is None else request.fps
    if fps not in frames.fps:
        raise InvalidJob(_one_of("fps", frames.fps, fps), field="fps")
    return size, seconds, fps


def _check_prompt(model: Model, request: JobRequest) -> None:
    if model.prompt.use == "required" and not request.prompt.strip():
        raise InvalidJob(f"{model.name} needs a prompt, but it is empty", field="prompt")
    for field in ("prompt", "negative_prompt"):
        length = len(getattr(request, field))
        if length > model.prompt.max_characters:
            raise InvalidJob(
                f"{field} may have at most {model.prompt.max_characters} characters, but has {length}",
                field=field,
            )


def _negative_prompt(model: Model, request: JobRequest) -> str:
    return request.negative_prompt.strip() or (model.sampling.negative_prompt if model.sampling else "")


def _sampling(model: Model, request: JobRequest) -> dict[str, Any]:
    rules = model.sampling
    if rules is None:
        for field in ("steps", "guidance"):
            if getattr(request, field) is not None:
                raise InvalidJob(f"{model.name} has no {field} to set", field=field)
        return {}
    steps = rules.steps if request.steps is None else request.steps
    if not rules.min_steps <= steps <= rules.max_steps:
        raise InvalidJob(
            f"steps must be between {rules.min_steps} and {rules.max_steps}, but is {steps}", field="steps"
        )
    guidance = rules.guidance if request.guidance is None else request.guidance
    if not 0 <= guidance <= MAX_GUIDANCE:
        raise InvalidJob(f"guidance must be between 0 and {MAX_GUIDANCE:g}, but is {guidance:g}", field="guidance")
    return {"steps": steps, "guidance": guidance}


def _picture(workspace: Workspace, mode: Mode, picture_id: UUID | None) -> Asset | None:
    if mode == Mode.TEXT_TO_VIDEO:
        if picture_id:
            raise InvalidJob("text-to-video takes no picture; leave it out or use i2v", field="picture")
        return None
    if picture_id is None:
        raise InvalidJob(f"the mode {mode} needs a picture: the id of an image asset", field="picture")
    try:
        picture = asset_of(workspace, picture_id)
    except NotFound as error:
        raise InvalidJob(error.message, field="picture", code="picture_not_found") from error
    if picture.kind != Asset.Kind.IMAGE:
        raise InvalidJob(f"picture must be an image, but {picture_id} is {picture.kind}", field="picture")
    return picture


def _seed(asked: int | None) -> int:
    if asked is None:
        return secrets.randbelow(MAX_SEED + 1)
    if not 0 <= asked <= MAX_SEED:
        raise InvalidJob(f"seed must be between 0 and {MAX_SEED}, but is {asked}", field="seed")
    return asked


def _one_of(field: str, allowed: Any, value: object) -> str:
    return f"{field} must be one of {', '.join(str(item) for item in allowed)}, but is {str(value)!r}"
