"""The platform's engines around random weights, and which clips the benchmarks have them make.

What the catalog says (guidance, options, words that are not wanted) is read from its files.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import torch
from PIL import Image

from bench.random_models import pipelines, sizes
from bench.random_models.sizes import Sizes
from generation.engines.base import EngineRequest, EngineSetup
from generation.engines.cogvideox import CogVideoXEngine
from generation.engines.diffusion import DiffusionEngine
from generation.engines.diffusion.loading import DTYPES
from generation.engines.diffusion.memory import TEXT_ENCODERS, plan_called
from generation.engines.hunyuan import HunyuanVideoEngine
from generation.engines.ltx import LTXEngine
from generation.engines.svd import SVDEngine
from generation.engines.wan import WanEngine

CATALOG = Path(__file__).parents[2] / "generation" / "catalog"
PROMPT = "A lighthouse keeper climbs the last steps, opens the iron door and looks out; the camera follows her."


@dataclass(frozen=True, slots=True)
class Spec:
    """A model as the benchmarks run it: one size and length, and the steps of a published clip."""

    name: str
    model: str
    """The catalog's."""
    engine: type[DiffusionEngine]
    make: Callable[[Sizes, torch.dtype], Any]
    sizes: Sizes
    width: int
    height: int
    frames: int
    fps: int
    steps: int
    precision: str = "bf16"
    plan: str = "full"
    """The memory plan that a worker takes on a GPU of 80 GB."""

    @property
    def catalog(self) -> Mapping[str, Any]:
        """The model's file of the catalog."""
        return catalog(self.model)

    def setup(self, plan: str = "", **more: Any) -> EngineSetup:
        """What a worker would load the engine with, but for the weights."""
        return EngineSetup(
            model=self.model, memory_plan=plan or self.plan, precision=self.precision,
            **{"options": self.catalog.get("options", {}), **more},
        )  # fmt: skip

    def request(self, image: Path, **more: Any) -> EngineRequest:
        """A job's request of the published steps, from a still."""
        sampling = self.catalog["sampling"]
        wanted = EngineRequest(
            mode="i2v", prompt=PROMPT, negative_prompt=sampling.get("negative_prompt", ""), width=self.width,
            height=self.height, frames=self.frames, fps=self.fps, seed=7, image=image, steps=self.steps,
            guidance=sampling["guidance"],
        )  # fmt: skip
        return replace(wanted, **more)

    def still(self, file: Path) -> Path:
        """A picture of the clip's size, written into the file."""
        Image.effect_noise((self.width, self.height), 60).convert("RGB").save(file)
        return file


@cache
def catalog(model: str) -> Mapping[str, Any]:
    """A model's file of the shipped catalog, unchecked: the machines that are measured on have no Django."""
    return tomllib.loads((CATALOG / f"{model}.toml").read_text("utf-8"))


class RandomWeights:
    """Before an engine's class among the bases: its weights are random, and made on the GPU."""

    spec: ClassVar[Spec]
    device: torch.device

    def load_pipeline(self, setup: EngineSetup) -> Any:
        """The pipeline; what the memory plan fetches from main memory lies there, as it does with real weights."""
        with pipelines.made_on(self.device):
            pipe = self.spec.make(self.spec.sizes, DTYPES[setup.precision])
        plan = plan_called(setup.memory_plan)
        for name, part in pipe.components.items():
            stays = plan.text_encoders_stay if name in TEXT_ENCODERS else not plan.streams_blocks
            if isinstance(part, torch.nn.Module) and not stays:
                part.to("cpu")
        pipe.set_progress_bar_config(disable=True)
        return pipe


def random_engine(spec: Spec) -> Any:
    """The family's engine, but for where its weights are from."""
    return type(f"Random{spec.engine.__name__}", (RandomWeights, spec.engine), {"spec": spec})()


LTX_2B = Spec(
    "ltx-2b", "ltx-video-2b", LTXEngine, pipelines.ltx,
    {"transformer": sizes.LTX_2B, "vae": sizes.LTX_VAE, "text_encoder": sizes.T5_XXL}, 1280, 704, 97, 25, 30,
)  # fmt: skip
LTX_13B = replace(
    LTX_2B, name="ltx-13b", model="ltx-video-13b", sizes={**LTX_2B.sizes, "transformer": sizes.LTX_13B}
)
COGVIDEOX = Spec(
    "cogvideox-5b", "cogvideox-5b-i2v", CogVideoXEngine, pipelines.cogvideox,
    {"transformer": sizes.COGVIDEOX_5B, "vae": sizes.COGVIDEOX_VAE, "text_encoder": sizes.T5_XXL},
    720, 480, 49, 8, 50,
)  # fmt: skip
SVD = Spec(
    "svd", "svd-1.1", SVDEngine, pipelines.svd,
    {"unet": sizes.SVD, "vae": sizes.SVD_VAE, "image_encoder": sizes.CLIP_H_VISION}, 1024, 576, 25, 7, 25, "fp16",
)  # fmt: skip
HUNYUAN = Spec(
    "hunyuan-i2v", "hunyuanvideo-i2v", HunyuanVideoEngine, pipelines.hunyuan,
    {
        "transformer": sizes.HUNYUAN_I2V, "vae": sizes.HUNYUAN_VAE, "text_encoder": sizes.LLAMA_3_8B,
        "text_encoder_eye": sizes.CLIP_L_VISION, "text_encoder_2": sizes.CLIP_L_TEXT,
    },
    960, 544, 121, 24, 50,
)  # fmt: skip
HUNYUAN_720P = replace(HUNYUAN, name="hunyuan-i2v-720p", width=1280, height=720, frames=129)
WAN = Spec(
    "wan-a14b", "wan2.2-i2v", WanEngine, pipelines.wan,
    {"transformer": sizes.WAN_A14B, "vae": sizes.WAN_VAE, "text_encoder": sizes.UMT5_XXL}, 832, 480, 81, 16, 40,
    plan="lean",
)  # fmt: skip
WAN_720P = replace(WAN, name="wan-a14b-720p", width=1280, height=720)

SPECS = {spec.name: spec for spec in (LTX_2B, LTX_13B, COGVIDEOX, SVD, HUNYUAN, HUNYUAN_720P, WAN, WAN_720P)}
"""Full sizes: for a GPU of 80 GB."""


def _tiny(spec: Spec, parts: Sizes, width: int = 32, height: int = 32, frames: int = 9) -> Spec:
    return replace(spec, sizes=parts, width=width, height=height, frames=frames, precision="fp32")


_LTX_TINY = {"transformer": sizes.LTX_TINY, "vae": sizes.LTX_VAE_TINY, "text_encoder": sizes.T5_TINY}
_WAN_TINY = {"transformer": sizes.WAN_TINY, "vae": sizes.WAN_VAE_TINY, "text_encoder": sizes.T5_TINY}
_COGVIDEOX_TINY = {
    "transformer": sizes.COGVIDEOX_TINY, "vae": sizes.COGVIDEOX_VAE_TINY, "text_encoder": sizes.T5_TINY,
}  # fmt: skip
_SVD_TINY = {"unet": sizes.SVD_TINY, "vae": sizes.SVD_VAE_TINY, "image_encoder": sizes.CLIP_H_TINY}
_HUNYUAN_TINY = {
    "transformer": sizes.HUNYUAN_TINY, "vae": sizes.HUNYUAN_VAE_TINY, "text_encoder": sizes.LLAMA_TINY,
    "text_encoder_eye": sizes.CLIP_L_VISION_TINY, "text_encoder_2": sizes.CLIP_TEXT_TINY,
}  # fmt: skip
TINY = {
    spec.name: spec
    for spec in (
        _tiny(LTX_2B, _LTX_TINY),
        _tiny(LTX_13B, _LTX_TINY),
        _tiny(COGVIDEOX, _COGVIDEOX_TINY),
        _tiny(SVD, _SVD_TINY, 64, 64, 4),
        _tiny(HUNYUAN, _HUNYUAN_TINY, frames=5),
        _tiny(WAN, _WAN_TINY),
        _tiny(WAN_720P, _WAN_TINY),
    )
}
"""For any processor: whether the benchmarks themselves work."""
