"""Who a worker is: what stays the same from its start to its end."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings

from generation import catalog
from generation.models.workers import place
from generation.scheduling.lanes import Lane
from generation.worker.gpu import Gpu


@dataclass(frozen=True, slots=True)
class Identity:
    """A worker's name, where it runs, and what it serves.

    `lanes` are in the order in which they are served; `precision` is what the weights are held in, empty where
    the catalog names none.
    """

    name: str
    host: str
    model: str
    lanes: tuple[Lane, ...]
    gpu: Gpu | None = None
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
    lanes: Sequence[Lane], *, gpu: Gpu | None = None, is_spot: bool = False, name: str = ""
) -> Identity:
    """The identity of a worker in this process, for the lanes (at least one) of one model.

    `name` must be the only one of its kind on this host; without it the worker is named after its model and its
    process, so that two of one model and GPU differ.
    """
    model = lanes[0].model
    host = str(settings.WORKER_HOST)
    memory = catalog.models()[model].memory
    return Identity(
        name=f"{name}@{host}" if name else f"{model}@{host}:{os.getpid()}",
        host=host,
        model=model,
        lanes=tuple(lanes),
        gpu=gpu,
        precision=str(memory[0].precision) if memory else "",
        is_spot=is_spot,
    )
