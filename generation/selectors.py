"""What may be seen: of jobs, always from within one workspace; of lanes, by operators."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, Min, Q, QuerySet, Sum

from generation.models import Flow, Job, JobEvent, Pause
from generation.scheduling import pauses
from generation.scheduling.lanes import every_lane
from generation.workers import alive_workers
from mutoscope.accounts.models import Workspace
from mutoscope.clock import database_time
from mutoscope.errors import NotFound


def jobs(workspace: Workspace) -> QuerySet[Job]:
    """The workspace's jobs, newest first, with their pictures and sound, their clip and its check."""
    related = ("picture", "last_picture", "sound", "output", "output__quality")
    return Job.objects.filter(workspace=workspace).select_related(*related)


def job(workspace: Workspace, job_id: UUID) -> Job:
    """One job of the workspace. Raises `NotFound`."""
    found = jobs(workspace).filter(pk=job_id).first()
    if found is None:
        raise NotFound(f"no job has the id {job_id}")
    return found


def events(workspace: Workspace, job_id: UUID) -> QuerySet[JobEvent]:
    """A job's events, oldest first. Raises `NotFound`."""
    return job(workspace, job_id).events.order_by("id")


@dataclass(frozen=True, slots=True)
class LaneFacts:
    """How a lane stands: jobs that wait (`throttled` are those whose workspace runs all it may), jobs that run,
    how long the oldest that may be claimed has waited, workers that are alive, and the pause that stops it."""

    lane: str
    waiting: int
    throttled: int
    running: int
    oldest_seconds: float | None
    workers: int
    paused: Pause | None

    def as_json(self) -> dict[str, Any]:
        """In plain JSON types."""
        return {**asdict(self), "paused": self.paused.scope if self.paused else None}


def lane_facts() -> list[LaneFacts]:
    """How every lane of the catalog stands. Its cost goes by workspaces that wait, not by jobs."""
    flows = Flow.objects.filter(waiting__gt=0).values("lane")
    sums = {
        row["lane"]: row
        for row in flows.annotate(
            waiting_jobs=Sum("waiting"),
            throttled_jobs=Sum("waiting", filter=Q(throttled=True), default=0),
            oldest=Min("oldest_at", filter=Q(throttled=False)),
        )
    }
    running = dict(Job.objects.filter(state__in=Job.HELD).values_list("lane").annotate(Count("pk")))
    served = [lane for worker in alive_workers() for lane in worker.lanes]
    paused = Pause.objects.in_bulk()
    now = database_time()
    nothing: dict[str, Any] = {"waiting_jobs": 0, "throttled_jobs": 0, "oldest": None}
    return [
        LaneFacts(
            lane=str(lane),
            waiting=(row := sums.get(str(lane), nothing))["waiting_jobs"],
            throttled=row["throttled_jobs"],
            running=running.get(str(lane), 0),
            oldest_seconds=(now - row["oldest"]).total_seconds() if row["oldest"] else None,
            workers=served.count(str(lane)),
            paused=next((paused[scope] for scope in pauses.covering(lane) if scope in paused), None),
        )
        for lane in every_lane()
    ]
