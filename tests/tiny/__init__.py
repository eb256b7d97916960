"""Tiny pipelines with random weights: real classes, two layers, saved to disk and loaded as real ones are.

A family is a module with functions that build pipelines; `WEIGHTS` names them all. Nothing is fetched.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
from importlib.metadata import version
from pathlib import Path

WEIGHTS = {
    "tiny-ltx": "tests.tiny.ltx:pipeline",
    "tiny-ltx2": "tests.tiny.ltx2:pipeline",
    "tiny-hunyuan-t2v": "tests.tiny.hunyuan:text_to_video",
    "tiny-hunyuan-i2v": "tests.tiny.hunyuan:token_replace",
    "tiny-hunyuan-i2v-33ch": "tests.tiny.hunyuan:latent_concat",
    "tiny-hunyuan15-t2v": "tests.tiny.hunyuan15:text_to_video",
    "tiny-hunyuan15-i2v": "tests.tiny.hunyuan15:image_to_video",
    "tiny-wan-i2v": "tests.tiny.wan:i2v",
    "tiny-wan-t2v": "tests.tiny.wan:t2v",
    "tiny-wan-ti2v": "tests.tiny.wan:ti2v",
    "tiny-cogvideox-i2v": "tests.tiny.cogvideox:i2v",
    "tiny-cogvideox-t2v": "tests.tiny.cogvideox:t2v",
    "tiny-cogvideox15-i2v": "tests.tiny.cogvideox:i2v_15",
    "tiny-svd": "tests.tiny.svd:pipeline",
}
"""Repository → the function that builds its pipeline."""
TOKENIZERS = Path(__file__).parents[2] / "bench" / "random_models" / "tokenizers.py"


def models_folder(var: Path) -> Path:
    """Where the tests' models lie: another folder whenever what they are built by has changed."""
    built_by = [path.read_bytes() for path in (*sorted(Path(__file__).parent.glob("*.py")), TOKENIZERS)]
    versions = [version(package).encode() for package in ("diffusers", "transformers", "torch")]
    return var / "models" / hashlib.sha256(b"".join(built_by + versions)).hexdigest()[:16]


def weights(name: str) -> Path:
    """The folder of a tiny pipeline, where workers find it: built the first time it is asked for."""
    folder = Path(os.environ["MODELS_FOLDER"])
    target = folder / f"tests--{name}"
    if not target.exists():
        module, _, function = WEIGHTS[name].partition(":")
        half = folder / f"{target.name}.{os.getpid()}"
        getattr(importlib.import_module(module), function)().save_pretrained(half)
        try:
            half.rename(target)
        except OSError:  # another test process was faster
            shutil.rmtree(half)
    return target
