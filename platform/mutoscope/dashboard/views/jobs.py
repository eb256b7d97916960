"""Jobs: the history, one job live, and cancelling."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from assets.models import Asset
from billing.entitlements import entitlements_of
from generation import catalog, retention, selectors, services, settlement
from generation.forecast.outlook import outlook, outlooks
from generation.models import Job
from generation.outputs.encoding import MASTER, PROFILES
from generation.outputs.quality import sentence_of
from mutoscope.accounts.selectors import Access
from mutoscope.dashboard.delivery import LABELS
from mutoscope.dashboard.downloads import unmarking
from mutoscope.dashboard.gate import Visit, workspace_page
from mutoscope.dashboard.paging import page_of
from mutoscope.dashboard.words import expectation, lines

FILTERS = {
    "": ("All", frozenset(Job.State)),
    "active": ("In progress", Job.ACTIVE),
    "succeeded": ("Succeeded", frozenset({Job.State.SUCCEEDED})),
    "failed": ("Failed", frozenset({Job.State.FAILED})),
    "cancelled": ("Cancelled", frozenset({Job.State.CANCELLED})),
}
"""`?state=`: its label, and the states it stands for."""


@workspace_page(needs="jobs:read")
def jobs(request: Visit, access: Access) -> HttpResponse:
    """Every job of the workspace, newest first."""
    chosen = request.GET.get("state", "")
    chosen = chosen if chosen in FILTERS else ""
    found = selectors.jobs(access.workspace)
    if chosen:
        found = found.filter(state__in=FILTERS[chosen][1])
    page = page_of(found, request.GET)
    found_outlooks = outlooks(page.rows)
    context = {
        "page": page,
        "names": _names(),
        "expectations": {row.pk: expectation(row, found_outlooks.get(row.pk)) for row in page.rows},
        "chosen": chosen,
        "filters": [(key, label) for key, (label, _) in FILTERS.items()],
    }
    return render(request, "dashboard/_jobs.html" if request.htmx else "dashboard/jobs.html", context)


@workspace_page(needs="jobs:read")
def job(request: Visit, access: Access, job_id: UUID) -> HttpResponse:
    """One job, live until it ends."""
    return render(request, "dashboard/job.html", _facts(access, job_id))


@workspace_page(needs="jobs:read")
def job_panel(request: Visit, access: Access, job_id: UUID) -> HttpResponse:
    """The part of the job's page that changes while it runs."""
    return render(request, "dashboard/_job_panel.html", _facts(access, job_id))


@workspace_page(needs="jobs:read")
def job_line(request: Visit, access: Access, job_id: UUID) -> HttpResponse:
    """What is to be expected of the job: its place in the line, and its end."""
    found = selectors.job(access.workspace, job_id)
    return render(
        request, "dashboard/_job_line.html", {"job": found, "expected": expectation(found, outlook(found))}
    )


@workspace_page("POST", needs="jobs:write")
def cancel_job(request: Visit, access: Access, job_id: UUID) -> HttpResponse:
    """Stop it; its page then says that it was cancelled."""
    services.cancel(access, job_id)
    messages.info(request, "The job is cancelled.")
    return redirect("dashboard:job", job_id)


def _facts(access: Access, job_id: UUID) -> dict[str, Any]:
    found = selectors.job(access.workspace, job_id)
    clip = _still_there(found.output)
    plan = entitlements_of(access.workspace.pk) if clip else None
    return {
        "job": found,
        "active": found.state in Job.ACTIVE,
        "expected": expectation(found, outlook(found)),
        "charged": settlement.charged([found]).get(found.pk),
        "events": found.events.all(),
        "model_name": _names().get(found.model, found.model),
        "picture": _still_there(found.picture),
        "last_picture": _still_there(found.last_picture),
        "clip": clip,
        "kept_until": retention.kept_until(clip, plan) if clip and plan else None,
        "unmarking": unmarking(clip, plan) if clip and plan else None,
        "sound": _still_there(found.sound),
        "format_name": PROFILES[found.format].name if found.format in PROFILES else found.format,
        "loop_name": LABELS.get(found.loop, found.loop).lower(),
        "is_unusual": (found.format, found.quality) != (MASTER.format, MASTER.quality),
        "is_cut": (found.engine_width, found.engine_height, found.engine_frames)
        != (found.width, found.height, found.frames),
        "recipe": lines(found.recipe),
        "doubts": sentence_of(clip.quality.problems) if clip and hasattr(clip, "quality") else "",
    }


def _still_there(asset: Asset | None) -> Asset | None:
    return asset if asset and not asset.deleted_at else None


def _names() -> dict[str, str]:
    """Model names by slug; a model that has left the catalog is known by its slug."""
    return {slug: model.name for slug, model in catalog.models().items()}
