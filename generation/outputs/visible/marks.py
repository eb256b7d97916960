"""Which visible marks a workspace's clips carry, and those marks as overlays for the encoder."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from django.db.models import Q
from PIL import Image

from billing.entitlements import Entitlements, entitlements_of
from generation.models import VisibleMark
from generation.outputs.encoding import Overlay
from generation.outputs.visible.drawing import VERSION, Design, draw, margin_of
from generation.outputs.visible.placing import Frame, Way, Wish


def overlays_for(
    workspace_id: UUID, width: int, height: int, folder: Path, *, seconds: float | None = None
) -> tuple[Overlay, ...]:
    """The marks to lay on the workspace's frames of `width` × `height` pixels, as PNG files in `folder`.

    Empty where neither the plan nor the workspace wants any: then a clip must be made as if there were no marks.
    `seconds` is the clip's length, which the round of a drifting mark goes by. Raises the storage's errors.
    """
    overlays = []
    for index, placed in enumerate(place(marks_of(workspace_id), width, height, seconds=seconds)):
        path = folder / f"mark-{index}.png"
        placed.picture.save(path, "PNG")
        x, y = placed.way.expressions
        overlays.append(Overlay(path, x, y))
    return tuple(overlays)


def digest_of(workspace_id: UUID) -> str:
    """What tells the marks that hold for the workspace now from all others: 64 hexadecimal digits; "" is none."""
    facts = [
        [mark.text, mark.picture.name or "", mark.position, mark.size, mark.opacity, mark.drifts]
        for mark in marks_of(workspace_id)
    ]
    return hashlib.sha256(json.dumps([VERSION, facts]).encode()).hexdigest() if facts else ""


def marks_of(workspace_id: UUID, plan: Entitlements | None = None) -> list[VisibleMark]:
    """The marks that hold for the workspace now: the operator's where the plan wants it, then its own."""
    plan = plan or entitlements_of(workspace_id)
    wanted = Q(workspace=workspace_id) | Q(workspace=None)
    found = {mark.workspace_id: mark for mark in VisibleMark.objects.filter(wanted, is_on=True)}
    return [found[key] for key in ([None] if plan.watermark else []) + [workspace_id] if key in found]


@dataclass(frozen=True, slots=True)
class Placed:
    """A mark as it is drawn on frames of one size."""

    picture: Image.Image
    way: Way


def place(marks: list[VisibleMark], width: int, height: int, *, seconds: float | None = None) -> list[Placed]:
    """One or two marks, drawn for frames of that size and placed so that they do not cover each other."""
    if not marks:
        return []
    pictures = [draw(design_of(mark), width, height) for mark in marks]
    wishes = [
        Wish(*picture.size, position=mark.position, drifts=mark.drifts)
        for mark, picture in zip(marks, pictures, strict=True)
    ]
    ways = Frame(width, height, margin_of(width, height)).arrange(wishes, seconds)
    return [Placed(picture, way) for picture, way in zip(pictures, ways, strict=True)]


def design_of(mark: VisibleMark) -> Design:
    """What the mark looks like; its picture is read from the storage."""
    picture = None
    if mark.picture:
        with mark.picture.open("rb") as file:
            picture = file.read()
    return Design(mark.text, picture, mark.size, mark.opacity)
