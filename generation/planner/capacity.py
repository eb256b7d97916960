"""What an hour of each GPU makes of the clips that are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from billing.models import Gpu
from billing.price_book import PriceBook
from generation.catalog import fitting
from generation.costs.estimates import HD_PIXELS, Throughput
from generation.costs.throughput import Throughputs
from generation.planner.question import ImpossiblePlan, Question
from generation.prices import steps_of

MIB_PER_GB = 1024
"""GPUs' makers count memory in GB and mean GiB, or a few per cent less."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """A GPU on which the model fits, and how fast it makes such clips."""

    gpu: str
    memory_plan: str
    """Under which the clip's size fits its memory; empty for a model without plans."""
    throughput: Throughput
    """Of 720p video with the model as published."""
    seconds_per_hour: float
    """Of the video that is asked for: by its pixels and its preset's steps."""

    @property
    def is_estimate(self) -> bool:
        """Not measured on this installation."""
        return not self.throughput.is_measured

    def clip_seconds(self, seconds: float) -> float:
        """Seconds of the GPU that a clip of so many seconds takes."""
        return 3600 * seconds / self.seconds_per_hour


def capacities(question: Question, book: PriceBook, throughputs: Throughputs) -> list[Capacity]:
    """Those GPUs of the price book that can make the clips, or the one that is asked for.

    Raises `ImpossiblePlan` where there is none.
    """
    if question.gpu:
        return [_capacity(question, _named(question.gpu, book), throughputs)]
    found: list[Capacity] = []
    reasons: list[str] = []
    for gpu in book.gpus.values():
        try:
            found.append(_capacity(question, gpu, throughputs))
        except ImpossiblePlan as impossible:
            reasons.append(impossible.message)
    if not found:
        raise ImpossiblePlan(_all(reasons, book), field="gpu")
    return found


def _capacity(question: Question, gpu: Gpu, throughputs: Throughputs) -> Capacity:
    model, size = question.entry, question.chosen_size
    plan = fitting.plan_for_size(model, size.name, gpu.vram_gb * MIB_PER_GB)
    if plan is None:
        raise ImpossiblePlan(
            f"{model.slug} needs a GPU with at least {fitting.least_gib(model, size.name):g} GiB for {size.name}, "
            f"but the {gpu.name} has {gpu.vram_gb}",
            field="gpu",
        )
    made = throughputs.of(model.slug, gpu.name)
    if made is None:
        raise ImpossiblePlan(f"nobody knows how fast {model.slug} is on the {gpu.name}", field="gpu")
    return Capacity(gpu.name, plan, made, made.seconds_per_hour / work_factor(question))


def work_factor(question: Question) -> float:
    """How much longer a second of the asked-for video takes than one of 720p with the model as published."""
    model, size = question.entry, question.chosen_size
    steps, usual = steps_of(model, question.chosen_preset), model.sampling and model.sampling.steps
    return size.width * size.height / HD_PIXELS * (steps / usual if steps and usual else 1.0)


def _named(name: str, book: PriceBook) -> Gpu:
    gpu = book.gpu_called(name)
    if gpu is None:
        there = ", ".join(book.gpus) or "none at all"
        raise ImpossiblePlan(f"the GPU must be one of the price book's, {there}, but is {name!r}", field="gpu")
    return gpu


def _all(reasons: Sequence[str], book: PriceBook) -> str:
    if not book.gpus:
        return "the price book has no GPU to plan with"
    return "no GPU of the price book can make these clips: " + "; ".join(reasons)
