"""How much of its plan's limits a workspace has used, and when each begins anew."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Q, QuerySet, Sum

from assets.models import Asset
from billing.allowances import allowance_of, every_allowance
from billing.entitlements import Entitlements, limit_by_workspace
from billing.renewals import day_of, month_of
from generation.limits import COUNTED, MIB
from generation.models import Job
from mutoscope.clock import database_time


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit of the plan: how much is used of how much; None is no limit. `resets_at` where it does by time."""

    limit: str
    """The plan's column."""
    used: float
    allowed: float | None
    resets_at: datetime | None = None

    @property
    def percent(self) -> int:
        """Used of what is allowed, rounded down: 100 says that nothing is left. 0 where there is no limit."""
        if self.allowed is None:
            return 0
        return int(100 * self.used / self.allowed) if self.allowed else 100


def quotas_of(workspace_id: UUID, plan: Entitlements) -> list[Quota]:
    """The limits that are used up little by little, in the order in which people meet them."""
    now = database_time()
    day, month = day_of(now), month_of(now)
    jobs = Job.objects.filter(workspace=workspace_id)
    active = jobs.filter(state__in=Job.ACTIVE).aggregate(
        running=Count("pk", filter=Q(state__in=Job.HELD)), waiting=Count("pk", filter=Q(state__in=Job.WAITING))
    )
    assets = Asset.objects.filter(workspace=workspace_id)
    return [
        Quota("seconds_per_day", _seconds(jobs, day[0]).get(workspace_id, 0), plan.seconds_per_day, day[1]),
        Quota(
            "seconds_per_month", _seconds(jobs, month[0]).get(workspace_id, 0), plan.seconds_per_month, month[1]
        ),
        _credits(workspace_id, plan, month[1]),
        Quota("storage_mib", _stored(assets).get(workspace_id, 0), plan.storage_mib),
        Quota("queued_jobs", active["waiting"], plan.queued_jobs),
        Quota("concurrent_jobs", active["running"], plan.concurrent_jobs),
    ]


def nearly_used(percent: int) -> list[tuple[UUID, Quota]]:
    """Of every workspace: what is used up to so many percent, of the limits that people are told of by e-mail.

    A dozen queries, however many workspaces there are.
    """
    now = database_time()
    day, month = day_of(now), month_of(now)
    jobs = Job.objects.all()
    found = [
        *_quotas("seconds_per_day", _seconds(jobs, day[0]), day[1]),
        *_quotas("seconds_per_month", _seconds(jobs, month[0]), month[1]),
        *_quotas("storage_mib", _stored(Asset.objects.all()), None),
    ]
    found += [
        (workspace_id, Quota("credits_per_month", allowance.used, allowance.granted, allowance.ends_at))
        for workspace_id, allowance in every_allowance().items()
    ]
    return [(workspace_id, quota) for workspace_id, quota in found if quota.used and quota.percent >= percent]


def _quotas(limit: str, used: dict[UUID, float], resets_at: datetime | None) -> list[tuple[UUID, Quota]]:
    allowed = limit_by_workspace(limit, used)
    return [(key, Quota(limit, amount, allowed[key], resets_at)) for key, amount in used.items()]


def _credits(workspace_id: UUID, plan: Entitlements, month_ends: datetime) -> Quota:
    """Those that the plan brings; a plan that brings none sets no limit here."""
    found = allowance_of(workspace_id) if plan.credits_per_month else None
    if found:
        return Quota("credits_per_month", found.used, found.granted, found.ends_at)
    return Quota("credits_per_month", 0, plan.credits_per_month or None, month_ends)


def _seconds(jobs: QuerySet[Job], since: datetime) -> dict[UUID, float]:
    """Seconds of video that count against the plan, by workspace: asked for since then, and not in vain."""
    sums = jobs.filter(COUNTED, created_at__gte=since).order_by().values_list("workspace").annotate(Sum("seconds"))
    return {workspace: round(seconds, 3) for workspace, seconds in sums}


def _stored(assets: QuerySet[Asset]) -> dict[UUID, float]:
    """MiB of files in the library, by workspace."""
    sums = assets.filter(deleted_at=None).order_by().values_list("workspace").annotate(Sum("size_bytes"))
    return {workspace: size / MIB for workspace, size in sums}
