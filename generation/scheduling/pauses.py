"""Which lanes operators have paused: `generation.control` pauses and resumes them."""

from __future__ import annotations

from collections.abc import Iterable

from generation.models import Pause
from generation.scheduling.lanes import Lane


def covering(lane: Lane) -> list[str]:
    """The scopes whose pause stops the lane."""
    return [Pause.EVERYTHING, lane.model, str(lane)]


def not_paused(lanes: Iterable[Lane]) -> list[Lane]:
    """Those of the lanes from which may be claimed, in the same order."""
    paused = set(Pause.objects.values_list("scope", flat=True))
    return [lane for lane in lanes if paused.isdisjoint(covering(lane))]


def pause_of(lane: Lane) -> Pause | None:
    """The pause that stops the lane, the widest first."""
    found = Pause.objects.in_bulk(covering(lane))
    return next((found[scope] for scope in covering(lane) if scope in found), None)
