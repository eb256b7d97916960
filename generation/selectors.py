"""What may be seen of jobs, always from within one workspace."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from generation.models import Job, JobEvent
from mutoscope.accounts.models import Workspace
from mutoscope.errors import NotFound


def jobs(workspace: Workspace) -> QuerySet[Job]:
    """The workspace's jobs, newest first, with their picture and clip."""
    return Job.objects.filter(workspace=workspace).select_related("picture", "output")


def job(workspace: Workspace, job_id: UUID) -> Job:
    """One job of the workspace. Raises `NotFound`."""
    found = jobs(workspace).filter(pk=job_id).first()
    if found is None:
        raise NotFound(f"no job has the id {job_id}")
    return found


def events(workspace: Workspace, job_id: UUID) -> QuerySet[JobEvent]:
    """A job's events, oldest first. Raises `NotFound`."""
    return job(workspace, job_id).events.order_by("id")
