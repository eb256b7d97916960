"""What may be made of a visible mark: checked, kept, removed, and shown as it will look."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import BinaryIO

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from PIL import Image, ImageOps

from assets.inspection import Limits, Picture, Rejected, inspect_upload
from generation.models import VisibleMark
from generation.outputs.visible.drawing import missing_letters
from generation.outputs.visible.marks import marks_of, place
from mutoscope.accounts.models import Workspace
from mutoscope.accounts.selectors import Access
from mutoscope.errors import Forbidden, Refusal

PICTURE_LIMITS = Limits(max_picture_bytes=2 * 2**20, max_pixels=4_000_000, max_side=4096, min_side=16)
"""Of a mark's picture, in bytes and pixels."""
PREVIEW_WIDTH, PREVIEW_HEIGHT = 640, 360
LONGEST_TEXT = 60
"""Characters: as the database has it."""
SIZES, OPACITIES = (0.05, 1.0), (0.1, 1.0)
"""The least and the most: as the database has it."""
_GHOST = 0.35
"""How much is seen of where a drifting mark will be, beside where it is."""


class InvalidMark(Refusal):
    """The mark cannot be drawn, or could not be seen."""

    code = "invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkWish:
    """A mark as somebody wants it. `picture` is a PNG file; None leaves the picture that is there."""

    is_on: bool = True
    text: str = ""
    picture: BinaryIO | None = None
    without_picture: bool = False
    position: str = VisibleMark.Position.BOTTOM_RIGHT
    size: float = 0.22
    opacity: float = 0.6
    drifts: bool = False


USUAL = MarkWish()
"""What a mark is where nothing else is wished."""


def mark_of(workspace: Workspace) -> VisibleMark | None:
    """The workspace's own mark, on or off."""
    return VisibleMark.objects.filter(workspace=workspace).first()


def operators_mark() -> VisibleMark | None:
    """The operator's mark, on or off."""
    return VisibleMark.objects.filter(workspace=None).first()


def set_mark(access: Access, wish: MarkWish) -> VisibleMark:
    """Make the workspace's own mark what is wished. Raises `InvalidMark`, or `Forbidden`."""
    require_manager(access)
    with transaction.atomic():
        Workspace.objects.select_for_update(no_key=True).get(pk=access.workspace.pk)
        mark = mark_of(access.workspace) or VisibleMark(workspace=access.workspace)
        before = mark.picture.name
        picture = checked(mark, wish)
        if picture:
            keep_picture(mark, picture)
        mark.save()
        if before and before != mark.picture.name:
            transaction.on_commit(partial(default_storage.delete, before))
    return mark


def remove_mark(access: Access) -> bool:
    """Do away with the workspace's own mark and its picture. Returns whether there was one. Raises `Forbidden`."""
    require_manager(access)
    with transaction.atomic():
        mark = VisibleMark.objects.select_for_update().filter(workspace=access.workspace).first()
        if mark is None:
            return False
        mark.delete()
        if mark.picture.name:
            transaction.on_commit(partial(default_storage.delete, mark.picture.name))
    return True


def require_manager(access: Access) -> None:
    """Raises `Forbidden` unless it is a manager or owner of the workspace, or a program with a key of theirs."""
    if not (access.manages or access.key):
        raise Forbidden(
            f"the role {access.role} in {access.workspace} may not change its mark; ask an owner of the workspace",
            code="role_missing",
        )


def checked(mark: VisibleMark, wish: MarkWish) -> bytes | None:
    """Put the wish into the mark, unsaved, held against the rules; its new picture, cleaned, if it brings one.

    Raises `InvalidMark`.
    """
    picture = clean_picture(wish.picture) if wish.picture else None
    text = check_text(wish.text)
    if wish.without_picture and picture is None:
        mark.picture = ""
    if not (text or mark.picture or picture):
        raise InvalidMark("a mark needs a text or a picture, but has neither", field="text")
    if wish.position not in VisibleMark.Position.values:
        named = ", ".join(VisibleMark.Position.values)
        raise InvalidMark(f"position must be one of {named}, but is {wish.position!r}", field="position")
    for field, value, (least, most) in (("size", wish.size, SIZES), ("opacity", wish.opacity, OPACITIES)):
        if not least <= value <= most:
            raise InvalidMark(f"{field} must be between {least:g} and {most:g}, but is {value:g}", field=field)
    mark.is_on, mark.text, mark.position, mark.drifts = wish.is_on, text, wish.position, wish.drifts
    mark.size, mark.opacity = wish.size, wish.opacity
    return picture


def check_text(text: str) -> str:
    """The text on one line, without spaces around it. Raises `InvalidMark`."""
    text = " ".join(text.split())
    if len(text) > LONGEST_TEXT:
        raise InvalidMark(
            f"a mark's text may have at most {LONGEST_TEXT} characters, but has {len(text)}", field="text"
        )
    if missing := missing_letters(text):
        raise InvalidMark(
            f"the font has no sign for {' '.join(missing)}; bring a PNG with the mark in it instead", field="text"
        )
    return text


def clean_picture(file: BinaryIO) -> bytes:
    """The PNG, decoded and encoded anew, without what is see-through around it. Raises `InvalidMark`."""
    try:
        found = inspect_upload(file, "mark.png", PICTURE_LIMITS)
    except Rejected as rejected:
        raise InvalidMark(rejected.message, field="picture") from rejected
    if not isinstance(found, Picture) or found.media_type != "image/png":
        raise InvalidMark(f"a mark's picture must be a PNG, but this is {found.media_type}", field="picture")
    with Image.open(BytesIO(found.clean.data)) as opened:
        picture = opened.convert("RGBA")
    seen = picture.getchannel("A").getbbox()
    if seen is None:
        raise InvalidMark("a mark's picture must show something, but this one is see-through", field="picture")
    target = BytesIO()
    picture.crop(seen).save(target, "PNG", optimize=True)
    return target.getvalue()


def keep_picture(mark: VisibleMark, picture: bytes) -> None:
    """Store a picture that was checked, under a name that tells it from all others; the row is not saved."""
    name = f"{hashlib.sha256(picture).hexdigest()[:32]}.png"
    place = mark.picture.field.generate_filename(mark, name)
    if mark.picture.name != place:
        default_storage.delete(place)  # of one that was stored without its row
        mark.picture.save(name, ContentFile(picture), save=False)


def preview(marks: list[VisibleMark], width: int = PREVIEW_WIDTH, height: int = PREVIEW_HEIGHT) -> bytes:
    """A PNG of a frame, dark to light, with the marks on it; of those that drift their way is hinted at."""
    shades = Image.linear_gradient("L").rotate(90).resize((width, height))
    frame = ImageOps.colorize(shades, black="black", mid="#7d867e", white="white").convert("RGBA")
    for placed in place(marks, width, height):
        for quarter in (1, 2, 3, 0) if placed.way.period else (0,):
            ghost = placed.picture.copy()
            if quarter:
                ghost.putalpha(ghost.getchannel("A").point(lambda value: round(value * _GHOST)))
            x, y = placed.way.at(quarter * placed.way.period / 4)
            frame.alpha_composite(ghost, (round(x), round(y)))
    target = BytesIO()
    frame.convert("RGB").save(target, "PNG")
    return target.getvalue()


def preview_of_wish(workspace: Workspace, wish: MarkWish) -> bytes:
    """The same with the workspace's own mark as wished, beside the operator's where the plan wants it.

    Nothing is kept. Raises `InvalidMark`.
    """
    own = mark_of(workspace) or VisibleMark(workspace=workspace)
    if picture := checked(own, wish):
        own.picture = ContentFile(picture, "mark.png")
    others = [mark for mark in marks_of(workspace.pk) if mark.workspace_id is None]
    return preview([*others, own])
