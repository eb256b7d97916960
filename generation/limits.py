"""Every rule by which a plan refuses a job or an upload; the API's rate is kept by `mutoscope.api.throttles`.

What the plan does not have is refused for good (`NotInPlan`); what is used up, for a time (`LimitReached`). How
much is used is counted anew each time, from jobs and assets themselves: nothing can get out of step. Counts hold
under concurrency because they are made with the workspace locked, until the job or the asset is in the database.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from math import ceil
from uuid import UUID

from django.db.models import Q, Sum

from assets.selectors import used_bytes
from billing.entitlements import Entitlements
from billing.errors import LimitReached, NotInPlan
from billing.renewals import day_of, month_of
from generation.models import Job

QUEUE_RETRY = 10
"""Seconds after which it is worth asking again whether a waiting job has started."""
MIB = 2**20
COUNTED = ~Q(state__in=[Job.State.FAILED, Job.State.CANCELLED])
"""Jobs whose seconds count. As the condition of the index `job_quota` has it: sums are read from that alone."""
_ROUNDING = 1e-6
"""Seconds of video are added up in binary: so little over a limit is not over it."""


def check_kind(job: Job, plan: Entitlements) -> None:
    """Whether the plan has such jobs at all. Raises `NotInPlan`."""
    for refusal in _refusals_of_kind(job, plan):
        if refusal is not None:
            raise refusal


def check_room(job: Job, plan: Entitlements) -> None:
    """Whether there is room for one more job just now. Raises `LimitReached`.

    It holds for as long as the workspace is locked (`accounts.services.hold_workspace`).
    """
    _check_queue(job.workspace_id, plan)
    _check_library(job.workspace_id, plan)
    if plan.seconds_per_day is not None:
        _check_seconds(job, plan, "seconds_per_day", plan.seconds_per_day, "a day", day_of(job.created_at))
    if plan.seconds_per_month is not None:
        _check_seconds(job, plan, "seconds_per_month", plan.seconds_per_month, "a month", month_of(job.created_at))


def check_upload(plan: Entitlements, used: int, asked: int, coming: int = 0) -> None:
    """Whether `asked` bytes more have room beside those `used` and `coming`. Raises `LimitReached`."""
    if plan.storage_mib is not None and used + coming + asked > plan.storage_mib * MIB:
        others = f", other uploads under way have {_mib(coming)}," if coming else ","
        raise LimitReached(
            f"{plan.source_of('storage_mib')} allows {_mib(plan.storage_mib * MIB)} of files; {_mib(used)} are "
            f"used{others} and the file has {_mib(asked)}; delete something from the library to make room",
            limit="storage_mib", allowed=plan.storage_mib, used=_in_mib(used), asked=_in_mib(asked), field="file",
        )  # fmt: skip


def check_format(plan: Entitlements, name: str) -> None:
    """Whether the plan has clips in the format. Raises `NotInPlan`."""
    if refusal := without_format(plan, name):
        raise refusal


def check_unmarked(plan: Entitlements) -> None:
    """Whether the plan has clips without the operator's visible mark. Raises `NotInPlan`."""
    if plan.watermark:
        raise NotInPlan(
            f"{plan.source_of('watermark')} has clips with a visible mark, and none without",
            limit="watermark", allowed=True, asked=False,
        )  # fmt: skip


def without_tier(plan: Entitlements, tier: str) -> NotInPlan | None:
    """Why the plan refuses the tier; None where it does not."""
    return _unless_named(plan, "tiers", plan.tiers, "tier", tier)


def without_model(plan: Entitlements, slug: str) -> NotInPlan | None:
    """Why the plan refuses the model; None where it does not."""
    return _unless_named(plan, "allowed_models", plan.allowed_models, "model", slug)


def without_preset(plan: Entitlements, name: str) -> NotInPlan | None:
    """Why the plan refuses the preset; None where it does not."""
    return _unless_named(plan, "allowed_presets", plan.allowed_presets, "preset", name)


def without_format(plan: Entitlements, name: str) -> NotInPlan | None:
    """Why the plan refuses clips in the format; None where it does not."""
    return _unless_named(plan, "output_formats", plan.output_formats, "format", name)


def without_size(plan: Entitlements, width: int, height: int) -> NotInPlan | None:
    """Why the plan refuses clips of so many pixels; None where it does not."""
    pixels = width * height
    if plan.max_pixels is None or pixels <= plan.max_pixels:
        return None
    return NotInPlan(
        f"{plan.source_of('max_pixels')} allows clips of {plan.max_pixels:,} pixels at most, "
        f"but {width} × {height} is {pixels:,}",
        field="size", limit="max_pixels", allowed=plan.max_pixels, asked=pixels,
    )  # fmt: skip


def without_length(plan: Entitlements, seconds: float) -> NotInPlan | None:
    """Why the plan refuses clips of such a length; None where it does not."""
    if plan.max_seconds is None or seconds <= plan.max_seconds + _ROUNDING:
        return None
    return NotInPlan(
        f"{plan.source_of('max_seconds')} allows clips of {number(plan.max_seconds)} s at most, but "
        f"{number(seconds)} s were asked for",
        field="seconds", limit="max_seconds", allowed=plan.max_seconds, asked=seconds,
    )  # fmt: skip


def seconds_since(workspace_id: UUID, begins: datetime) -> float:
    """Seconds of video that were asked for from then on, but for those of jobs that failed or were cancelled."""
    jobs = Job.objects.filter(COUNTED, workspace=workspace_id, created_at__gte=begins)
    return jobs.aggregate(sum=Sum("seconds"))["sum"] or 0.0


def number(value: float) -> str:
    """A number as people write it: 8, 2.5, 1,200."""
    return f"{round(value, 2):,.12g}"


def _refusals_of_kind(job: Job, plan: Entitlements) -> Iterator[NotInPlan | None]:
    yield without_model(plan, job.model)
    yield without_tier(plan, job.tier)
    if job.preset:  # models without presets have nothing to choose from
        yield without_preset(plan, job.preset)
    yield without_size(plan, job.width, job.height)
    yield without_length(plan, job.seconds)
    yield without_format(plan, job.format)


def _unless_named(plan: Entitlements, limit: str, allowed: list[str], field: str, asked: str) -> NotInPlan | None:
    if not allowed or asked in allowed:
        return None
    return NotInPlan(
        f"{plan.source_of(limit)} does not have the {field} {asked!r}; it has {', '.join(allowed)}",
        field=field, limit=limit, allowed=allowed, asked=asked,
    )  # fmt: skip


def _check_queue(workspace_id: UUID, plan: Entitlements) -> None:
    waiting = Job.objects.filter(workspace=workspace_id, state__in=Job.WAITING).count()
    if waiting >= plan.queued_jobs:
        raise LimitReached(
            f"{plan.source_of('queued_jobs')} lets {plan.queued_jobs:,} jobs wait at once, and {waiting:,} are "
            "waiting; try again when one has started",
            limit="queued_jobs", allowed=plan.queued_jobs, used=waiting, retry_after=QUEUE_RETRY,
        )  # fmt: skip


def _check_library(workspace_id: UUID, plan: Entitlements) -> None:
    """A clip's size is known when it is there, so a job may begin as long as there is any room at all."""
    if plan.storage_mib is None:
        return
    used = used_bytes(workspace_id)
    if used >= plan.storage_mib * MIB:
        raise LimitReached(
            f"{plan.source_of('storage_mib')} allows {_mib(plan.storage_mib * MIB)} of files, and {_mib(used)} "
            "are used; delete something from the library to make room for a clip",
            limit="storage_mib", allowed=plan.storage_mib, used=_in_mib(used), asked=0,
        )  # fmt: skip


def _check_seconds(
    job: Job, plan: Entitlements, limit: str, allowed: int, each: str, period: tuple[datetime, datetime]
) -> None:
    begins, ends = period
    used = seconds_since(job.workspace_id, begins)
    if used + job.seconds > allowed + _ROUNDING:
        raise LimitReached(
            f"{plan.source_of(limit)} allows {allowed:,} s of video {each}; {number(used)} s are used and "
            f"{number(job.seconds)} s were asked for; it resets on {ends:%Y-%m-%d at %H:%M} UTC",
            limit=limit, allowed=allowed, used=used, asked=job.seconds, field="seconds", resets_at=ends,
            retry_after=max(1, ceil((ends - job.created_at).total_seconds())),
        )  # fmt: skip


def _in_mib(size: int) -> float:
    return round(size / MIB, 2)


def _mib(size: int) -> str:
    return f"{number(_in_mib(size))} MiB"
