"""What the holder of an attempt may do to its job. Every write is fenced: see `transitions.held_by`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Case, Expression, F, FloatField, Q, QuerySet, Value, When
from django.db.models.functions import Cast, Coalesce, Now

from assets.models import Asset
from generation import catalog, clip_checks, transitions
from generation.engines.base import EngineError
from generation.models import Attempt, Job, JobEvent, Worker
from generation.outputs.quality.check import CLIP_BROKEN, MALFORMED, BrokenClip, Check
from generation.seeds import draw_seed
from mutoscope.alerts import alert

State, Kind, Outcome, Blame = Job.State, JobEvent.Kind, Attempt.Outcome, Attempt.Blame

OUT_OF_MEMORY = "out_of_memory"
"""The code of an engine's error that a lighter memory plan may help with."""


class Lost(Exception):
    """The attempt no longer holds its job: cancelled, or the lease ran out. Stop, and leave no trace."""


def renew(job: Job) -> bool:
    """Push the attempt's lease into the future. Returns whether the attempt still holds the job."""
    return bool(_held(job).update(lease_expires_at=Now() + settings.JOB_LEASE))


def is_held(job: Job) -> bool:
    """Whether this attempt still holds the job."""
    return _held(job).exists()


def note_progress(job: Job, progress: float) -> bool:
    """Write the share of steps done, 0 to 1. Returns whether the attempt is still running."""
    # A late one must not take back the 1.0 of a job that is finishing.
    return bool(_held(job).filter(state=State.RUNNING).update(progress=progress))


def note_engine_started(job: Job, *, memory_plan: str, first_step: int, after: float | None = None) -> None:
    """The engine began to work on the job, after the steps that a checkpoint spares it; `after`: see `_moment`."""
    _attempt(job).update(
        engine_started_at=_moment(after),
        memory_plan=memory_plan,
        first_step=first_step,
        size=job.size,
        frames=job.frames,
    )


def note_engine_ended(job: Job, *, steps: int, after: float | None = None) -> None:
    """The engine has let go of the job, after so many steps in this attempt; `after`: see `_moment`."""
    _attempt(job).update(engine_ended_at=_moment(after), steps=steps)


def _moment(after: float | None) -> Expression:
    """So many seconds after the attempt's claim, by its holder's own clock; None is now.

    Counted from the claim, the moments of an attempt are in order, and the time between them is exact, however
    long the database takes to hear of them.
    """
    return Now() if after is None else F("claimed_at") + timedelta(seconds=after)


def keep_checkpoint(job: Job, name: str, step: int) -> None:
    """The next attempt goes on after `step`, from the file `name` in the storage. Raises `Lost`."""
    if not _held(job).update(checkpoint=name, checkpoint_step=step):
        raise Lost
    job.checkpoint, job.checkpoint_step = name, step


def drop_checkpoint(job: Job) -> None:
    """The job begins anew: its checkpoint is of no use. Raises `Lost`."""
    keep_checkpoint(job, "", 0)


def note_clip(job: Job, clip_id: UUID) -> None:
    """From now on there may be files of this asset: they are waste unless this attempt succeeds. Raises `Lost`."""
    mine = Attempt.objects.filter(number=job.attempt, job__in=_held(job))
    if not mine.update(clip_id=clip_id):
        raise Lost


def start_finishing(job: Job, recipe: Mapping[str, Any], *, steps: int, after: float | None = None) -> None:
    """All frames are made; what is left is the finish stage. May be said again. `after`: see `_moment`.

    Raises `Lost`.
    """
    note_engine_ended(job, steps=steps, after=after)
    moved = transitions.move(
        job.pk,
        Kind.FINISHING,
        come_from={State.RUNNING},
        to=State.FINISHING,
        fence=transitions.held_by(job.attempt),
        progress=1.0,
        recipe=dict(recipe),
    )
    # Said before, where the connection broke before the answer came.
    if not (moved or _held(job).filter(state=State.FINISHING).exists()):
        raise Lost


def _held(job: Job) -> QuerySet[Job]:
    """The job's row, as long as this attempt holds it."""
    return Job.objects.filter(transitions.held_by(job.attempt), pk=job.pk)


def _attempt(job: Job) -> QuerySet[Attempt]:
    return Attempt.objects.filter(job=job, number=job.attempt)


def succeed(job: Job, clip: Asset, check: Check | None = None) -> None:
    """Publish the clip: the asset comes into being with its check and the job succeeds, or neither. Raises `Lost`.

    May be said again where the connection broke before the answer came.
    """
    if not Job.objects.filter(pk=job.pk, state=State.SUCCEEDED, output=clip.pk).exists():
        _publish(job, clip, check)


@transaction.atomic
def _publish(job: Job, clip: Asset, check: Check | None) -> None:
    clip.save(force_insert=True)
    moved = transitions.move(
        job.pk,
        Kind.SUCCEEDED,
        come_from={State.FINISHING},
        to=State.SUCCEEDED,
        fence=transitions.held_by(job.attempt),
        outcome=Outcome.SUCCEEDED,
        output=clip,
    )
    if not moved:
        raise Lost
    if check:
        clip_checks.record(job, check, clip)


def fail(
    job: Job,
    code: str,
    message: str,
    *,
    blame: str = "",
    outcome: Attempt.Outcome = Outcome.FAILED,
    fence: Q | None = None,
) -> bool:
    """End the job without a clip. Returns whether this call did it. For `fence` see `give_back`."""
    return transitions.move(
        job.pk,
        Kind.FAILED,
        come_from=Job.HELD,
        to=State.FAILED,
        fence=fence or transitions.held_by(job.attempt),
        outcome=outcome,
        message=message,
        closing={"error_code": code, "blame": blame},
        error_code=code,
        error_message=message,
    )


def settle_error(job: Job, error: EngineError) -> None:
    """End or retry the job after an error, by whose doing it was.

    Bad input fails anywhere: no retry. Out of memory: once more with the model's lightest memory plan, if it has
    lighter ones. A broken clip: once more from another seed. What the machine did is tried again, elsewhere if
    anybody else serves the lane. What we did wrong is tried again, and the operators are told.
    """
    if error.code == OUT_OF_MEMORY:
        _settle_out_of_memory(job, error)
    elif error.code == CLIP_BROKEN:
        _settle_broken_clip(job, error)
    elif error.blame == Blame.USER:
        fail(job, error.code, error.message, blame=error.blame)
    else:
        give_back(job, error.code, error.message, blame=error.blame)


def _settle_out_of_memory(job: Job, error: EngineError) -> None:
    model = catalog.models().get(job.model)
    lightest = model.memory_plans[-1] if model and model.memory_plans[1:] else ""
    if lightest and job.memory_plan != lightest:
        again = f"{error.message}; it is tried again with the memory plan {lightest!r}"
        give_back(
            job, error.code, again, blame=error.blame, memory_plan=lightest, checkpoint="", checkpoint_step=0
        )
    else:
        tried = (
            f"even with the memory plan {lightest!r}" if lightest else "and the model has no lighter memory plan"
        )
        fail(job, error.code, f"{error.message}, {tried}; ask for a smaller or shorter clip", blame=error.blame)


@transaction.atomic
def _settle_broken_clip(job: Job, error: EngineError) -> None:
    """Try once more from another seed, and from the first step; fail where that has been done.

    It does not count against the cap on attempts, which is for machines that fail: there is this one try more,
    whatever has happened before.
    """
    if job.is_reseeded:
        again = f"{error.message}; so it was from another seed before"
        settled = fail(job, CLIP_BROKEN, again, blame=error.blame)
    else:
        seed = draw_seed(other_than=job.seed)
        again = f"{error.message}; it is made once more, from the seed {seed} in place of {job.seed}"
        settled = give_back(
            job, CLIP_BROKEN, again, blame=error.blame, counts=False,
            seed=seed, is_reseeded=True, checkpoint="", checkpoint_step=0, progress=0.0,
        )  # fmt: skip
    if settled:
        clip_checks.record(job, error.check if isinstance(error, BrokenClip) else MALFORMED)


def give_back(
    job: Job,
    code: str,
    message: str,
    *,
    blame: str = Blame.MACHINE,
    counts: bool = True,
    outcome: Attempt.Outcome = Outcome.RETURNED,
    fence: Q | None = None,
    **changes: Any,
) -> bool:
    """Return the job to its lane, or fail it when it has had all its attempts. Returns whether this call did.

    A worker that stops gives back what it has in hand, which does not count (`counts=False`). `fence` is the
    attempt's own lease unless recovery, which takes over a lease that ran out, brings another. `changes` are
    further columns of the job.
    """
    if blame == Blame.OURS:
        alert(f"{job.model}: {code}", f"job {job.pk}, attempt {job.attempt}: {message}", key=f"{job.model}:{code}")
    failures = job.failures + counts
    if failures >= settings.JOB_MAX_ATTEMPTS and counts:
        ending = Outcome.FAILED if outcome == Outcome.RETURNED else outcome
        tried = f"{message} (tried {failures} times)"
        return fail(job, code, tried, blame=blame, outcome=ending, fence=fence)
    if blame == Blame.MACHINE and counts:
        changes["avoid"] = _place_of(job)
    return transitions.move(
        job.pk,
        Kind.RETURNED,
        come_from=Job.HELD,
        to=State.QUEUED,
        fence=fence or transitions.held_by(job.attempt),
        outcome=outcome,
        message=message,
        closing={"error_code": code, "blame": blame},
        lease_expires_at=None,
        failures=failures,
        **{"progress": _kept_progress(), **changes},
    )


def _kept_progress() -> Case:
    """The share of the steps that the job's checkpoint spares the next attempt."""
    spared = Cast("checkpoint_step", FloatField()) / Coalesce("steps", "frames")
    return Case(When(checkpoint="", then=Value(0.0)), default=spared, output_field=FloatField())


def _place_of(job: Job) -> str:
    """Where the job's latest attempt ran, as far as its worker is known."""
    name = Attempt.objects.filter(job=job, number=job.attempt).values_list("worker", flat=True).first()
    worker = Worker.objects.filter(name=name).first()
    return worker.place if worker else ""
