"""Shapes and constraints: jobs and what happened to them, lanes and who waits in them, workers and their pace,
what operators decide about models, what is put on clips and found in them, and what may not be asked for."""

from generation.models.jobs import MAX_SEED, Attempt, Job, JobEvent
from generation.models.lanes import Flow, LaneClock, Pause
from generation.models.moderation import BlockedTerm, Review
from generation.models.operators import Adapter, LicenceAcceptance
from generation.models.outputs import ClipCheck, VisibleMark
from generation.models.workers import Pace, Worker

__all__ = [
    "MAX_SEED",
    "Adapter",
    "Attempt",
    "BlockedTerm",
    "ClipCheck",
    "Flow",
    "Job",
    "JobEvent",
    "LaneClock",
    "LicenceAcceptance",
    "Pace",
    "Pause",
    "Review",
    "VisibleMark",
    "Worker",
]
