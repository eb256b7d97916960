"""E-mails to those who manage a workspace when a limit of its plan is nearly, or wholly, used up.

Each is sent once a limit, period and threshold, even where two upkeep processes look at the same time: the row
that says so is written in the transaction that sends, so the second waits for the first. Where the mail server
refuses, the row is not kept, and the next round tries again.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.db.models import Max
from django.template.loader import render_to_string

from billing.entitlements import Entitlements, entitlements_of
from billing.models import UsageWarning
from billing.renewals import available
from generation.limits import number
from generation.quotas import Quota, nearly_used, quotas_of
from mutoscope.accounts.models import Workspace
from mutoscope.accounts.selectors import managers_of
from mutoscope.clock import database_time

THRESHOLDS = (100, 80)
"""Percent of a limit, the highest first."""
USAGE_PAGE = "/usage"
"""Not asked of the pages' addresses: they would load the pages into upkeep."""


@dataclass(frozen=True, slots=True)
class _Limit:
    """How a limit is spoken of."""

    what: str
    unit: str
    at_full: str


_LIMITS = {
    "seconds_per_day": _Limit(
        "video for today", "seconds of video a day", "No more jobs are taken then until the day is over."
    ),
    "seconds_per_month": _Limit(
        "video for this month", "seconds of video a month", "No more jobs are taken then until the month is over."
    ),
    "credits_per_month": _Limit(
        "credits of this month",
        "credits a month",
        "Jobs are then paid with the workspace's other credits; without any, they are refused.",
    ),
    "storage_mib": _Limit(
        "storage",
        "MiB of storage",
        "Uploads and new jobs are refused then until something is deleted from the library. "
        "Clips that are being made are kept.",
    ),
}


def due() -> list[tuple[UUID, str]]:
    """Workspaces, and the limits that their people have not been told of yet. A dozen queries for all of them."""
    reached = nearly_used(min(THRESHOLDS))
    told = _told([workspace_id for workspace_id, _ in reached])
    return [
        (workspace_id, quota.limit)
        for workspace_id, quota in reached
        if told.get((workspace_id, quota.limit, _period(quota)), 0) < _threshold(quota)
    ]


@transaction.atomic
def send(workspace_id: UUID, limit: str) -> bool:
    """Tell owners and managers how the limit stands now, unless they know. Returns whether this call did.

    Raises what the mail server's refusal raises; nothing is written down then.
    """
    workspace = Workspace.objects.filter(pk=workspace_id).first()
    people = [person.email for person in managers_of(workspace)] if workspace else []
    if workspace is None or not people:
        return False
    plan = entitlements_of(workspace_id)
    quota = next(quota for quota in quotas_of(workspace_id, plan) if quota.limit == limit)
    threshold, period = _threshold(quota), _period(quota)
    if threshold <= _told([workspace_id]).get((workspace_id, limit, period), 0):
        return False
    _, is_first = UsageWarning.objects.get_or_create(
        workspace=workspace, limit=limit, period=period, percent=threshold
    )
    if is_first:
        _mail(workspace, plan, quota, people)
    return is_first


def _mail(workspace: Workspace, plan: Entitlements, quota: Quota, people: list[str]) -> None:
    words = _LIMITS[quota.limit]
    name = " ".join(workspace.name.split())
    context = {
        "workspace": name,
        "plan": plan.name,
        "used": number(quota.used),
        "allowed": number(quota.allowed or 0),
        "resets_at": quota.resets_at,
        "words": words,
        "credits_left": number(available(workspace.pk, plan)) if quota.limit == "credits_per_month" else "",
        "page": f"{settings.PUBLIC_URL}{USAGE_PAGE}",
        "thresholds": sorted(THRESHOLDS),
    }
    mail = EmailMultiAlternatives(
        subject=f"{name} has used {min(quota.percent, 100)} % of its {words.what}",
        body=render_to_string("mail/usage_warning.txt", context),
        to=people,
    )
    mail.attach_alternative(render_to_string("mail/usage_warning.html", context), "text/html")
    mail.send()


def _threshold(quota: Quota) -> int:
    """The highest that has been reached; 0 for none."""
    return next((percent for percent in THRESHOLDS if quota.used and quota.percent >= percent), 0)


def _period(quota: Quota) -> str:
    """What a warning is sent once for: the day, or the month; for credits, the day on which they are gone."""
    if quota.limit == "credits_per_month" and quota.resets_at:
        return f"{quota.resets_at:%Y-%m-%d}"
    now = database_time()
    return f"{now:%Y-%m-%d}" if quota.limit == "seconds_per_day" else f"{now:%Y-%m}"


def _told(workspace_ids: list[UUID]) -> dict[tuple[UUID, str, str], int]:
    """The highest threshold that people were told of, by workspace, limit and period."""
    sent = UsageWarning.objects.filter(workspace__in=workspace_ids).values_list("workspace", "limit", "period")
    return {(workspace, limit, period): top for workspace, limit, period, top in sent.annotate(Max("percent"))}
