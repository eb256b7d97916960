"""A model with weights, what its repository holds, and the command that deals with them."""

from __future__ import annotations

import io
import json
import random
from typing import Any

import pytest
from django.core.management import call_command

from generation.worker.gpu import Gpu
from tests.conftest import BASE_DIR

STILL = (BASE_DIR / "tests" / "catalog" / "still.toml").read_text()
REPOSITORY, BIG = "studio/still-1", "transformer/model.safetensors"
GPU = Gpu(index=0, uuid="GPU-1", name="NVIDIA H100 80GB HBM3", total_mib=81559, used_mib=0)

FILES = {
    "model_index.json": json.dumps(
        {
            "_class_name": "StillPipeline", "transformer": ["diffusers", "StillTransformer"],
            "vae": ["diffusers", "StillVae"], "feature_extractor": [None, None], "boundary_ratio": 0.9,
        }
    ).encode(),
    "transformer/config.json": b'{"layers": 2}',
    BIG: random.Random(1).randbytes(3_000_000),  # noqa: S311
    "vae/model.safetensors": random.Random(2).randbytes(200_000),  # noqa: S311
    "README.md": b"Read me.",
}  # fmt: skip
ADAPTER = {"fast.safetensors": random.Random(3).randbytes(50_000), "other.safetensors": b"not asked for"}  # noqa: S311

WEIGHTS = f"""
[weights]
huggingface = "{REPOSITORY}"
modelscope = "StudioCN/still-1"
files = ["model_index.json", "transformer/*", "vae/*"]
gib = 0.1
"""
MEMORY = """
[[memory]]
size = "tiny"
plan = "full"
precision = "bf16"
gib = 40

[[memory]]
size = "tiny"
plan = "light"
precision = "fp8"
gib = 20
"""


def models(*arguments: str) -> str:
    out = io.StringIO()
    call_command("models", *arguments, stdout=out)
    return out.getvalue()


def check(*arguments: str) -> str:
    """What `check` complains of."""
    out = io.StringIO()
    with pytest.raises(SystemExit) as caught:
        call_command("models", "check", "mine", *arguments, stdout=out)
    assert caught.value.code == 1
    return out.getvalue()


def listed(slug: str = "mine") -> dict[str, Any]:
    (found,) = [told for told in json.loads(models("list", "--json")) if told["model"] == slug]
    return dict(found)
