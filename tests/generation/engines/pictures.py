"""Pictures and requests that the engine tests share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from generation.engines.base import EngineRequest

Picture = NDArray[np.uint8]

PHOTOGRAPH = Path(__file__).parents[3] / "platform/mutoscope/demo/coffee.png"


def texture(width: int, height: int, seed: int = 1) -> Picture:
    """Soft random blotches in colour: something for correlation to hold on to, everywhere."""
    noise = np.random.Generator(np.random.PCG64(seed)).normal(size=(height, width, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return np.asarray(np.clip(127 + soft * 400, 0, 255), np.uint8)


def textured_subject(width: int, height: int) -> Picture:
    """A bright textured square in the middle of a dark textured backdrop."""
    picture = (texture(width, height, seed=2) // 4).astype(np.uint8)
    side = height // 3
    top, left = (height - side) // 2, (width - side) // 2
    picture[top : top + side, left : left + side] = 120 + texture(side, side, seed=3) // 2
    return picture


def save(picture: Picture, file: Path) -> Path:
    """Write a picture and say where."""
    Image.fromarray(picture).save(file)
    return file


def request_for(image: Path | None, prompt: str = "", **changes: Any) -> EngineRequest:
    """A small request: 160 × 90, 12 frames at 24 a second."""
    fields = {"mode": "i2v", "width": 160, "height": 90, "frames": 12, "fps": 24, "seed": 7}
    return EngineRequest(prompt=prompt, image=image, **(fields | changes))
