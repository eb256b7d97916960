"""`fleet.toml`: the hosts, their GPUs, and the workers that are to run on them. See `docs/fleet.md`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from billing.tiers import Tier
from generation import catalog
from generation.catalog import fitting
from generation.scheduling.lanes import LaneError, lanes_of
from mutoscope import tables
from mutoscope.tables import Table, TableError, problem

ANY_HOST = "*"

HostName = Annotated[str, Field(pattern=r"^(\*|[A-Za-z0-9][A-Za-z0-9._-]*)$", max_length=64)]
Index = Annotated[int, Field(ge=0)]


class FleetError(TableError):
    """The fleet's file is missing, breaks rules, or does not know this host."""


class Workers(Table):
    """Workers of one model that serve the same lanes: one on each of `gpus`, or `count` without a GPU."""

    model: str
    lanes: Annotated[list[str], Field(min_length=1)] = list(Tier.values)
    """Tiers or full names, in the order in which they are served."""
    gpus: Annotated[list[Index], Field(min_length=1)] | Literal["all"] | None = None
    count: Annotated[int, Field(gt=0)] | None = None
    plan: str = ""
    """Memory plan; empty is the one that fits each GPU."""


class Hosts(Table):
    """One host, or several alike; `*` is every host that is not named."""

    names: Annotated[list[HostName], Field(min_length=1)]
    gpus: Annotated[int, Field(ge=0)] = 0
    """How many GPUs each has."""
    spot: bool = False
    """The machine may be taken away at short notice."""
    workers: Annotated[list[Workers], Field(min_length=1)]


class FleetFile(Table):
    """The whole file."""

    hosts: Annotated[list[Hosts], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Slot:
    """One worker that is to run on a host. `gpu` is its index, empty for none; `lanes` are full names.

    `plan` is its memory plan, empty for the one that fits.
    """

    host: str
    name: str
    model: str
    lanes: tuple[str, ...]
    gpu: str
    is_spot: bool
    plan: str = ""

    @property
    def worker_name(self) -> str:
        """What the worker reports itself as, also after a restart."""
        return f"{self.name}@{self.host}"

    @property
    def arguments(self) -> tuple[str, ...]:
        """The `manage.py` command that runs it."""
        gpu = ("--gpu", self.gpu) if self.gpu else ()
        plan = ("--plan", self.plan) if self.plan else ()
        spot = ("--spot",) if self.is_spot else ()
        what = ("--name", self.name, "--model", self.model, "--lanes", ",".join(self.lanes))
        return ("worker", *what, *gpu, *plan, *spot)


@dataclass(frozen=True, slots=True)
class Fleet:
    """A fleet's file that has been read and found in order."""

    path: Path
    file: FleetFile

    @property
    def hosts(self) -> list[str]:
        """Every host that is named, in order; `*` may be one of them."""
        return [name for entry in self.file.hosts for name in entry.names]

    def slots(self, host: str) -> list[Slot]:
        """The workers that are to run on the host. Raises `FleetError` when the file has nothing for it."""
        named = next((entry for entry in self.file.hosts if host in entry.names), None)
        entry = named or next((entry for entry in self.file.hosts if ANY_HOST in entry.names), None)
        if entry is None:
            there = ", ".join(self.hosts)
            raise FleetError([f"{self.path.name} has no host {host!r}; it has {there} (choose with --host NAME)"])
        return list(_slots(host, entry))


def read(path: Path) -> Fleet:
    """Read and check the file. Raises `FleetError` with all its problems."""
    if not path.is_file():
        raise FleetError(
            [f"there is no fleet file {path}; copy fleet.example.toml to fleet.toml, or set FLEET_FILE"]
        )
    try:
        file = tables.read(path, FleetFile)
    except TableError as error:
        raise FleetError(error.problems) from error
    problems = [*_doubled_hosts(path, file)]
    for number, entry in enumerate(file.hosts):
        problems += _unfit_workers(path, number, entry)
    if problems:
        raise FleetError(problems)
    return Fleet(path, file)


def _slots(host: str, entry: Hosts) -> Iterator[Slot]:
    without_gpu: dict[str, int] = {}
    for workers in entry.workers:
        lanes = tuple(str(lane) for lane in lanes_of(workers.model, workers.lanes))
        for gpu in _gpus(workers, entry):
            yield Slot(host, f"{workers.model}-gpu{gpu}", workers.model, lanes, str(gpu), entry.spot, workers.plan)
        for _ in range(0 if workers.gpus else workers.count or 1):
            number = without_gpu[workers.model] = without_gpu.get(workers.model, 0) + 1
            yield Slot(host, f"{workers.model}-{number}", workers.model, lanes, "", entry.spot, workers.plan)


def _gpus(workers: Workers, entry: Hosts) -> list[int]:
    return list(range(entry.gpus)) if workers.gpus == "all" else workers.gpus or []


def _doubled_hosts(path: Path, file: FleetFile) -> Iterator[str]:
    before: set[str] = set()
    for number, entry in enumerate(file.hosts):
        for name in entry.names:
            if name in before:
                yield problem(path, ("hosts", number, "names"), "a host must stand once in the file", name)
            before.add(name)


def _unfit_plan(path: Path, key: tuple[int | str, ...], workers: Workers) -> Iterator[str]:
    try:
        if workers.plan:
            fitting.check_plan(catalog.models()[workers.model], workers.plan)
    except fitting.UnknownPlan as error:
        yield problem(path, (*key, "plan"), str(error), {})


def _unfit_workers(path: Path, number: int, entry: Hosts) -> Iterator[str]:
    """What is wrong with a host's workers: unknown lanes, GPUs that it has not, GPUs given twice."""
    given: set[int] = set()
    for place, workers in enumerate(entry.workers):
        key = ("hosts", number, "workers", place)
        try:
            lanes_of(workers.model, workers.lanes)
        except LaneError as error:
            yield problem(path, key, str(error), {})
        else:
            yield from _unfit_plan(path, key, workers)
        if workers.gpus and workers.count:
            yield problem(
                path, (*key, "count"), "is for workers without a GPU; a GPU has one worker", workers.count
            )
        if workers.gpus == "all" and not entry.gpus:
            yield problem(path, (*key, "gpus"), "the host must have GPUs (gpus = HOW MANY)", "all")
        for gpu in _gpus(workers, entry):
            if gpu >= entry.gpus:
                yield problem(path, (*key, "gpus"), f"must be below the host's gpus, {entry.gpus}", gpu)
            elif gpu in given:
                yield problem(path, (*key, "gpus"), "a GPU has one worker and one model, yet is given twice", gpu)
            given.add(gpu)
