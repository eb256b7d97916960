"""A picture's file in, whether it will do as a portrait out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from generation.safety.portrait.base import Figures, Portrait
from generation.safety.portrait.figures import measure
from generation.safety.portrait.rules import judge

LOOKED_AT = 2048
"""Pixels of the longer side: larger pictures are looked at smaller, and told of in their own pixels."""


def check(path: Path) -> Portrait:
    """Look at the picture, which is upright. Raises `FileNotFoundError` without the models."""
    with Image.open(path) as picture:
        width, height = picture.size
        small = picture.convert("RGB")
    small.thumbnail((LOOKED_AT, LOOKED_AT))
    found = measure(np.asarray(small), width / small.width)
    figures = Figures(width, height, faces=len(found))
    return judge(replace(figures, face=found[0]) if found else figures)
