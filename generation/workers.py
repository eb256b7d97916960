"""The workers as the database knows them: who is alive, who is asked to drain, who is forgotten.

Ages are counted by the database's clock alone: the clocks of the machines differ.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

import psutil
from django.conf import settings
from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Coalesce, Concat, Now, NullIf

from generation.models import Worker
from generation.scheduling.lanes import Lane

MISSED_REPORTS = 6
"""A worker that has been silent for so many report intervals is taken for gone."""
KEPT = timedelta(days=1)
"""How long the row of a worker that is gone is kept, for the operator to look at."""


class NameRefused(Exception):
    """No worker may start under this name now; the message says why."""


def alive() -> Q:
    """Workers that have reported lately, and have not said that they stopped."""
    return Q(seen_at__gt=Now() - settings.WORKER_REPORT_INTERVAL * MISSED_REPORTS) & ~Q(state=Worker.State.STOPPED)


def alive_workers(lane: Lane | None = None) -> QuerySet[Worker]:
    """The workers that run now; of one lane, those that serve it."""
    workers = Worker.objects.filter(alive())
    return workers if lane is None else workers.filter(lanes__contains=[str(lane)])


def somebody_else_serves(lane: Lane, place: str) -> bool:
    """Whether a worker at another place (see `Worker.place`) serves the lane, and goes on doing so."""
    where = Concat("host", Value("/"), Coalesce(NullIf("gpu", Value("")), Value("cpu")))
    serving = alive_workers(lane).exclude(state=Worker.State.DRAINING)
    return serving.annotate(where=where).exclude(where=place).exists()


@dataclass(frozen=True, slots=True)
class Seen:
    """A worker's row with what the database's clock says about it."""

    worker: Worker
    is_alive: bool
    seen_ago: timedelta
    claimed_ago: timedelta | None


def seen(workers: QuerySet[Worker] | None = None) -> list[Seen]:
    """Every worker that is not yet forgotten, or those of `workers`, with their ages."""
    found = (Worker.objects.all() if workers is None else workers).select_related("job")
    rows = found.annotate(_alive=alive(), _seen_ago=Now() - F("seen_at"), _claimed_ago=Now() - F("last_claim_at"))
    return [Seen(row, bool(row._alive), row._seen_ago, row._claimed_ago) for row in rows]


def matching(*, host: str = "", gpu: str | None = None, model: str = "") -> QuerySet[Worker]:
    """The workers of a host, of a GPU (empty is: none), of a model, or of several of these; alive or not."""
    wanted = Q()
    if host:
        wanted &= Q(host=host)
    if gpu is not None:
        wanted &= Q(gpu=gpu)
    if model:
        wanted &= Q(model=model)
    return Worker.objects.filter(wanted)


def request_drain(workers: QuerySet[Worker]) -> int:
    """Ask workers to end what they have in hand and stop. Returns how many of them are alive.

    It is a standing order: each sees it at its next report, and whoever restarts workers leaves them alone until
    the order is lifted. One that is given already keeps its time.
    """
    workers.filter(drain_requested_at=None).update(drain_requested_at=Now())
    return workers.filter(alive()).count()


def lift_drain(workers: QuerySet[Worker]) -> int:
    """Take the order back; those that have stopped may be started again. Returns for how many it was."""
    return workers.exclude(drain_requested_at=None).update(drain_requested_at=None)


def asked_to_drain(names: Collection[str]) -> set[str]:
    """Those of the named workers that are not to run."""
    asked = Worker.objects.filter(pk__in=names).exclude(drain_requested_at=None)
    return set(asked.values_list("pk", flat=True))


def check_name(name: str, host: str) -> None:
    """Raise `NameRefused` where another process has the name, or whoever has it is not to run."""
    known = Worker.objects.filter(pk=name).first()
    if known is None:
        return
    if known.drain_requested_at:
        raise NameRefused(
            f"{name} was asked to drain at {known.drain_requested_at:%Y-%m-%d %H:%M} UTC and is not to run; "
            "`manage.py fleet drain --undo` lifts that"
        )
    is_gone = known.host == host and not psutil.pid_exists(known.pid)  # killed: its row does not know yet
    if known.pid != os.getpid() and not is_gone and alive_workers().filter(pk=name).exists():
        raise NameRefused(f"{name} runs already, as process {known.pid} on {known.host}; choose another --name")


def forget_workers() -> int:
    """Remove the rows of workers unseen for a day. Returns how many."""
    removed, _ = Worker.objects.filter(seen_at__lt=Now() - KEPT).delete()
    return removed


def memory(used: int | None, total: int | None) -> str:
    """MiB used of total; a dash where there is no GPU, or it does not tell."""
    return "–" if total is None else f"{'?' if used is None else used}/{total}"
