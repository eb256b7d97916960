"""What a job may ask: a request held against the catalog and the plan, with every default filled in."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings

from assets.models import Asset
from assets.selectors import asset_of
from billing.entitlements import Entitlements
from billing.tiers import Tier
from generation import adapters, catalog, offers
from generation.adapters import AdapterWish
from generation.catalog.schema import Mode, Model, Preset, Size
from generation.errors import InvalidJob, one_of
from generation.forecast.pace import expected_ms
from generation.models import MAX_SEED, Job
from generation.outputs import orders
from generation.outputs.encoding import Form
from generation.prices import credits_for
from generation.safety.portrait import gate as portraits
from generation.scheduling.lanes import Lane
from generation.seeds import draw_seed
from mutoscope.accounts.models import Workspace
from mutoscope.accounts.selectors import Access
from mutoscope.clock import database_time
from mutoscope.errors import NotFound

LATEST_START = timedelta(days=90)
"""So far ahead may a job be scheduled."""
LATEST_DEADLINE = timedelta(days=30)
"""So long after it may begin may a job's deadline lie."""
MAX_GUIDANCE = 100.0
"""Far above what any model makes sense of; it keeps out infinity and slips of the keyboard."""
STANDARD = "standard"
"""The preset of whoever names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """What somebody asks for; None takes the preset's, the model's or the plan's default."""

    model: str
    picture: UUID | None = None
    last_picture: UUID | None = None
    prompt: str = ""
    negative_prompt: str = ""
    mode: str | None = None
    size: str | None = None
    seconds: float | None = None
    fps: int | None = None
    preset: str | None = None
    adapters: tuple[AdapterWish, ...] = ()
    steps: int | None = None
    guidance: float | None = None
    seed: int | None = None
    format: str | None = None
    quality: str | None = None
    output_fps: int | None = None
    loop: str | None = None
    sound: UUID | None = None
    tier: str | None = None
    not_before: datetime | None = None
    deadline: datetime | None = None

    def digest(self) -> str:
        """The same for the same request: what an idempotency key is held against."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True, default=str).encode()).hexdigest()


def complete(access: Access, plan: Entitlements, request: JobRequest) -> Job:
    """The job that is asked for, not saved: every default taken, every rule of the catalog checked.

    Of the plan it takes the default tier; what the plan refuses is for `generation.limits` to say. Raises
    `InvalidJob`, `ModelUnavailable`, or what the portrait check says (`safety.portrait.gate`).
    """
    model = catalog.models().get(request.model)
    if model is None:
        raise InvalidJob(one_of("model", catalog.models(), request.model), field="model")
    offers.check(model)
    if request.mode and request.mode not in model.modes:
        raise InvalidJob(one_of("mode", model.modes, request.mode), field="mode")
    mode = Mode(request.mode or model.modes[0])
    tier = request.tier or plan.tiers[0]
    if tier not in Tier.values:
        raise InvalidJob(one_of("tier", plan.tiers, tier), field="tier")
    preset = _preset(model, request.preset)
    _check_words(model, request)
    shape = _shape(model, mode, request)
    now = database_time()
    job = Job(
        workspace=access.workspace,
        created_by=access.user,
        api_key=access.key,
        model=model.slug,
        tier=tier,
        lane=str(Lane(model.slug, tier)),
        mode=mode,
        prompt=request.prompt.strip(),
        negative_prompt=_negative_prompt(model, request),
        preset=preset.name if preset else "",
        seed=_seed(request.seed),
        created_at=now,
        **shape,
        **_form(plan, request, shape["fps"]),
        **_sampling(model, preset, request),
        **_pictures(access.workspace, mode, request),
        adapters=adapters.check(model, request.adapters),
        **_times(request, tier, now),
    )
    orders.check_form(job)
    job.sound = orders.sound_asked(access.workspace, request.sound, orders.form_of(job))
    if model.needs_portrait and job.picture:
        portraits.require(job.picture, model.name)
    job.work_ms = expected_ms(job)
    if plan.is_metered:
        job.credits = credits_for(
            model, size=job.size, seconds=job.seconds, preset=job.preset, tier=job.tier, steps=job.steps
        )
    return job


def _preset(model: Model, asked: str | None) -> Preset | None:
    if not model.presets:
        if asked:
            raise InvalidJob(f"{model.name} has no presets to choose from", field="preset")
        return None
    preset = model.preset(asked or STANDARD)
    if preset is None:
        raise InvalidJob(one_of("preset", [preset.name for preset in model.presets], asked), field="preset")
    return preset


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


def _shape(model: Model, mode: Mode, request: JobRequest) -> dict[str, Any]:
    """Size and length: as asked, and as the engine makes them."""
    size = _size(model, request.size)
    rules = model.frames
    seconds = rules.default_seconds if request.seconds is None else request.seconds
    if not rules.min_seconds <= seconds <= rules.max_seconds:
        raise InvalidJob(
            f"seconds must be between {rules.min_seconds:g} and {rules.max_seconds:g}, but is {seconds:g}",
            field="seconds",
        )
    fps = rules.fps[0] if request.fps is None else request.fps
    if fps not in rules.fps:
        raise InvalidJob(one_of("fps", rules.fps, fps), field="fps")
    engine_width, engine_height = model.canvas.around(size.width, size.height)
    engine_frames = rules.count(seconds, fps)
    # A clip that is to end on a picture must reach it: nothing is trimmed, and it may last a few frames longer.
    frames = engine_frames if mode == Mode.FIRST_LAST_FRAME else rules.asked(seconds, fps)
    return {
        "size": size.name,
        "width": size.width,
        "height": size.height,
        "seconds": seconds,
        "fps": fps,
        "frames": frames,
        "engine_width": engine_width,
        "engine_height": engine_height,
        "engine_frames": engine_frames,
    }


def _form(plan: Entitlements, request: JobRequest, fps: int) -> dict[str, Any]:
    wish = Form(request.format or "", request.quality or "", fps=request.output_fps, loop=request.loop or "")
    return orders.form_asked(plan, wish, fps=fps)


def _size(model: Model, asked: str | None) -> Size:
    size = model.size(asked or model.default_size)
    if size is None:
        raise InvalidJob(one_of("size", [size.name for size in model.sizes], asked), field="size")
    return size


def _check_words(model: Model, request: JobRequest) -> None:
    rules = model.prompt
    if rules.use == "required" and not request.prompt.strip():
        raise InvalidJob(f"{model.name} needs a prompt, but it is empty", field="prompt")
    for field in ("prompt", "negative_prompt"):
        words = getattr(request, field)
        if rules.use == "ignored" and words.strip():
            raise InvalidJob(f"{model.name} reads no words, so {field} must be empty", field=field)
        if len(words) > rules.max_characters:
            raise InvalidJob(
                f"{field} may have at most {rules.max_characters} characters, but has {len(words)}", field=field
            )


def _negative_prompt(model: Model, request: JobRequest) -> str:
    return request.negative_prompt.strip() or (model.sampling.negative_prompt if model.sampling else "")


def _sampling(model: Model, preset: Preset | None, request: JobRequest) -> dict[str, Any]:
    """Steps and guidance: those that are named, else the preset's, else the model's."""
    rules = model.sampling
    if rules is None:
        for field in ("steps", "guidance"):
            if getattr(request, field) is not None:
                raise InvalidJob(f"{model.name} has no {field} to set", field=field)
        return {}
    steps = _first(request.steps, preset and preset.steps, rules.steps)
    if not rules.min_steps <= steps <= rules.max_steps:
        rule = f"be between {rules.min_steps} and {rules.max_steps}"
        if rules.min_steps == rules.max_steps:
            rule = f"be {rules.steps} in {model.name}"
        raise InvalidJob(f"steps must {rule}, but is {steps}", field="steps")
    guidance = _first(request.guidance, preset and preset.guidance, rules.guidance)
    if not 0 <= guidance <= MAX_GUIDANCE:
        raise InvalidJob(f"guidance must be between 0 and {MAX_GUIDANCE:g}, but is {guidance:g}", field="guidance")
    return {"steps": steps, "guidance": guidance}


def _first(*values: Any) -> Any:
    return next(value for value in values if value is not None)


def _pictures(workspace: Workspace, mode: Mode, request: JobRequest) -> dict[str, Asset | None]:
    """What the clip begins with, and what it ends on: as the mode wants them."""
    if mode != Mode.FIRST_LAST_FRAME and request.last_picture:
        raise InvalidJob(f"the mode {mode} takes no last_picture; leave it out or use flf2v", field="last_picture")
    if mode == Mode.TEXT_TO_VIDEO:
        if request.picture:
            raise InvalidJob("text-to-video takes no picture; leave it out or use i2v", field="picture")
        return {}
    found: dict[str, Asset | None] = {"picture": _picture(workspace, mode, "picture", request.picture)}
    if mode == Mode.FIRST_LAST_FRAME:
        found["last_picture"] = _picture(workspace, mode, "last_picture", request.last_picture)
    return found


def _picture(workspace: Workspace, mode: Mode, field: str, picture_id: UUID | None) -> Asset:
    if picture_id is None:
        raise InvalidJob(f"the mode {mode} needs a {field}: the id of an image asset", field=field)
    try:
        picture = asset_of(workspace, picture_id)
    except NotFound as error:
        raise InvalidJob(error.message, field=field, code="picture_not_found") from error
    if picture.kind != Asset.Kind.IMAGE:
        raise InvalidJob(f"{field} must be an image, but {picture_id} is {picture.kind}", field=field)
    return picture


def _seed(asked: int | None) -> int:
    if asked is None:
        return draw_seed()
    if not 0 <= asked <= MAX_SEED:
        raise InvalidJob(f"seed must be between 0 and {MAX_SEED}, but is {asked}", field="seed")
    return asked
