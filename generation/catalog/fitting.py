"""Which memory plan fits a GPU, by the figures of the catalog."""

from __future__ import annotations

from generation.catalog.schema import Model

UNFAITHFUL = frozenset({"fp8", "tiled"})
"""Plans that change the picture by more than the rounding of bf16: taken only where no other fits."""
SPARE_GIB = 1.0
"""What the driver and CUDA themselves take."""


class UnknownPlan(Exception):
    """The model has no such memory plan; the message lists those that it has."""


def check_plan(model: Model, plan: str) -> str:
    """The plan, if the model has it. Raises `UnknownPlan`."""
    if plan not in model.memory_plans:
        there = ", ".join(model.memory_plans) or "none"
        raise UnknownPlan(f"the memory plan of {model.slug} must be one of {there}, but is {plan!r}")
    return plan


def plan_for(model: Model, vram_mib: int | None) -> str:
    """The heaviest plan that fits so much memory in all of the model's sizes; empty where it has no plans.

    Faithful plans go first; if nothing fits in all sizes, then what fits in the default size; else the lightest.
    Without a figure (no GPU, or the driver does not tell) it is the first plan.
    """
    plans = model.memory_plans
    if not plans or vram_mib is None:
        return plans[0] if plans else ""
    room = vram_mib / 1024 - SPARE_GIB
    for sizes in ([size.name for size in model.sizes], [model.default_size]):
        for candidates in (
            [plan for plan in plans if plan not in UNFAITHFUL],
            [plan for plan in plans if plan in UNFAITHFUL],
        ):
            for plan in candidates:
                if all(_fits(model, plan, size, room) for size in sizes):
                    return plan
    return plans[-1]


def plan_for_size(model: Model, size: str, vram_mib: int) -> str | None:
    """The plan under which one size fits so much memory: the heaviest faithful one, else the heaviest.

    None where it fits under none. Empty for a model that has no plans.
    """
    if not model.memory_plans:
        return ""
    room = vram_mib / 1024 - SPARE_GIB
    fitting = [plan for plan in model.memory_plans if _fits(model, plan, size, room)]
    return next((plan for plan in fitting if plan not in UNFAITHFUL), fitting[0] if fitting else None)


def least_gib(model: Model, size: str) -> float:
    """GiB that a GPU must have for a size of the model, under the lightest of its plans."""
    needs = [need.gib for need in model.memory if need.size == size]
    return min(needs) + SPARE_GIB if needs else 0.0


def holds(model: Model, plan: str, vram_mib: int | None) -> bool:
    """Whether the model's default size fits so much memory under a plan; where nobody can tell, it does."""
    return vram_mib is None or not plan or _fits(model, plan, model.default_size, vram_mib / 1024 - SPARE_GIB)


def _fits(model: Model, plan: str, size: str, room: float) -> bool:
    needed = model.needs(plan, size)
    return needed is not None and needed <= room
