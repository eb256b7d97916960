"""Who a worker is: what stays the same from its start to its end."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings

from generation import catalog
from generation.catalog import fitting
from generation.models.workers import place
from generation.scheduling.lanes import Lane
from generation.worker.gpu import Gpu


@dataclass(frozen=True, slots=True)
class Identity:
    """A worker's name, where it runs, and what it serves.

    `lanes` are in the order in which they are served; `memory_plan` is the one that its engine runs under,
    `precision` what the denoiser's weights are held in then, each empty where the catalog names none.
    """

    name: str
    host: str
    model: str
    lanes: tuple[Lane, ...]
    gpu: Gpu | None = None
    memory_plan: str = ""
    precision: str = ""
    is_spot: bool = False

    @property
    def place(self) -> str:
        """Host and GPU, the same after a restart: what a job avoids that failed there."""
        return place(self.host, self.gpu_index)

    @property
    def gpu_index(self) -> str:
        """The GPU's index on its host; empty without a GPU."""
        return str(self.gpu.index) if self.gpu else ""


def of_this_process(
    lanes: Sequence[Lane], *, gpu: Gpu | None = None, is_spot: bool = False, name: str = "", plan: str = ""
) -> Identity:
    """The identity of a worker in this process, for the lanes (at least one) of one model.

    `name` must be the only one of its kind on this host; without it the worker is named after its model and its
    process, so that two of one model and GPU differ. Without a `plan` the memory plan is the one that fits the
    GPU. Raises `UnknownPlan`.
    """
    model = catalog.models()[lanes[0].model]
    host = str(settings.WORKER_HOST)
    plan = fitting.check_plan(model, plan) if plan else fitting.plan_for(model, gpu.total_mib if gpu else None)
    return Identity(
        name=f"{name}@{host}" if name else f"{model.slug}@{host}:{os.getpid()}",
        host=host,
        model=model.slug,
        lanes=tuple(lanes),
        gpu=gpu,
        memory_plan=plan,
        precision=model.precision(plan),
        is_spot=is_spot,
    )
