"""Where the portrait check is asked: for a picture, and before a job is made that needs a portrait."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from assets.models import Asset
from generation.safety.portrait.base import Portrait
from mutoscope.errors import Refusal

CHECKER = "portrait 1, blazeface and face mesh"
"""Changes whenever verdicts may: they are kept with pictures under it."""


class NoPicture(Refusal):
    """Only pictures can be portraits."""

    code = "not_a_picture"


class NotAPortrait(Refusal):
    """The model needs a portrait, and the picture will not do."""

    status = 422
    code = "not_a_portrait"


class PortraitUnavailable(Refusal):
    """This installation has not the models that faces are looked at with."""

    status = 503
    code = "portrait_unavailable"


def portrait_of(picture: Asset) -> Portrait:
    """Whether the picture will do; looked at once, and remembered under the checker's name.

    Raises `NoPicture` or `PortraitUnavailable`.
    """
    if picture.kind != Asset.Kind.IMAGE:
        raise NoPicture(f"only pictures can be checked as portraits, but {picture.pk} is {picture.kind}")
    kept = picture.portrait
    if kept and kept.get("checker") == CHECKER:
        return Portrait.from_kept(kept)
    portrait = _look_at(picture)
    picture.portrait = {"checker": CHECKER, **portrait.as_kept()}
    picture.save(update_fields=["portrait"])
    return portrait


def require(picture: Asset, model_name: str) -> None:
    """Raises `NotAPortrait` with every reason, or `PortraitUnavailable`. Advice refuses nothing."""
    refusals = portrait_of(picture).refusals
    if refusals:
        raise NotAPortrait(
            f"{model_name} needs a portrait: {'; '.join(reason.message for reason in refusals)}",
            field="picture",
            reasons=[{"code": reason.code, "message": reason.message} for reason in refusals],
        )


def _look_at(picture: Asset) -> Portrait:
    from generation.safety.portrait.check import check  # noqa: PLC0415  it pays for OpenCV, which few requests need

    suffix = Path(str(picture.file)).suffix
    with tempfile.NamedTemporaryFile(suffix=suffix) as file, picture.file.open("rb") as source:
        shutil.copyfileobj(source, file)
        file.flush()
        try:
            return check(Path(file.name))
        except FileNotFoundError as error:
            raise PortraitUnavailable(
                "portraits cannot be checked here: the operators have yet to install the models for it",
                field="picture",
            ) from error
