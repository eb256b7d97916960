"""Shapes and constraints: jobs and what happened to them, lanes and who waits in them, workers and their pace,
and what operators decide about models."""

from generation.models.jobs import MAX_SEED, Attempt, Job, JobEvent
from generation.models.lanes import Flow, LaneClock, Pause
from generation.models.operators import Adapter, LicenceAcceptance
from generation.models.workers import Pace, Worker

__all__ = [
    "MAX_SEED",
    "Adapter",
    "Attempt",
    "Flow",
    "Job",
    "JobEvent",
    "LaneClock",
    "LicenceAcceptance",
    "Pace",
    "Pause",
    "Worker",
]
