"""What is known of the workers: who is alive, and what they serve."""

from __future__ import annotations

from django.conf import settings
from django.db.models import QuerySet, Value
from django.db.models.functions import Coalesce, Concat, Now, NullIf

from generation.models import Worker

GONE_AFTER = 6
"""Reports that a worker may miss before it is taken for gone."""


def alive_workers(lane: str = "") -> QuerySet[Worker]:
    """The workers that have reported themselves lately; with `lane`, those that serve it."""
    since = Now() - GONE_AFTER * settings.WORKER_REPORT_INTERVAL
    alive = Worker.objects.filter(seen_at__gt=since).exclude(state=Worker.State.STOPPED)
    return alive.filter(lanes__contains=[lane]) if lane else alive


def somebody_else_serves(lane: str, place: str) -> bool:
    """Whether a worker at another place (see `Worker.place`) serves the lane."""
    theirs = Concat("host", Value("/"), Coalesce(NullIf("gpu", Value("")), Value("cpu")))
    serving = alive_workers(lane).exclude(state=Worker.State.DRAINING)
    return serving.annotate(where=theirs).exclude(where=place).exists()
