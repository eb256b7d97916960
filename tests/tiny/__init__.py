"""Tiny pipelines with random weights: real classes, two layers, saved to disk and loaded as real ones are.

A family is a module with functions that build pipelines; `WEIGHTS` names them all. Nothing is fetched.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path

WEIGHTS = {
    "tiny-ltx": "tests.tiny.ltx:pipeline",
    "tiny-ltx2": "tests.tiny.ltx2:pipeline",
    "tiny-hunyuan-t2v": "tests.tiny.hunyuan:text_to_video",
    "tiny-hunyuan-i2v": "tests.tiny.hunyuan:token_replace",
    "tiny-hunyuan-i2v-33ch": "tests.tiny.hunyuan:latent_concat",
    "tiny-hunyuan15-t2v": "tests.tiny.hunyuan15:text_to_video",
    "tiny-hunyuan15-i2v": "tests.tiny.hunyuan15:image_to_video",
}
"""Repository → the function that builds its pipeline."""


def weights(name: str, folder: Path) -> Path:
    """The folder of a tiny pipeline, `folder`/tests--NAME: built the first time it is asked for."""
    target = folder / f"tests--{name}"
    if not target.exists():
        module, _, function = WEIGHTS[name].partition(":")
        half = folder / f"tests--{name}.{os.getpid()}"
        getattr(importlib.import_module(module), function)().save_pretrained(half)
        half.rename(target)
    return target
