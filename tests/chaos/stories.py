"""What happened, as the database tells it, and what may be said against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from generation.models import Attempt, Job, JobEvent

FAILING = {"crash", "hang", "short", "oom=always", "fail=user", "fail=machine", "fail=ours"}
"""Words in the prompt of the scripted engine that no attempt survives."""


@dataclass(frozen=True, order=True)
class Breach:
    kind: Literal["lost", "doubled", "orphaned", "wrong"]
    sentence: str


@dataclass(frozen=True)
class Story:
    """One job with all that happened to it."""

    job: Job
    events: list[JobEvent]
    attempts: list[Attempt]

    @property
    def told(self) -> str:
        return f"job {self.job.pk} [{', '.join(f'{e.kind} {e.attempt}' for e in self.events)}]"

    @property
    def will_fail(self) -> bool:
        return self.job.model == "still" and not FAILING.isdisjoint(self.job.prompt.split())


def stories() -> list[Story]:
    """Every job in the database, the events and attempts in their order."""
    jobs = Job.objects.select_related("output", "picture").prefetch_related("events", "attempts").order_by("pk")
    return [Story(job, list(job.events.all()), list(job.attempts.all())) for job in jobs]
