"""The engines that the contract is tested with, each with what it is loaded with and a small request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from generation.engines.base import Engine, EngineRequest, EngineSetup
from generation.engines.preview import PreviewEngine
from generation.engines.process import make
from tests.engines import StillEngine
from tests.generation.engines.pictures import PHOTOGRAPH, request_for
from tests.tiny import weights


@dataclass(frozen=True)
class Case:
    """An engine, how it is loaded, a small request for it of eight steps at least, and another legal shape.

    The shape is frames, width and height.
    """

    engine: type[Engine]
    setup: EngineSetup
    request: EngineRequest
    other_shape: tuple[int, int, int]


def preview() -> Case:
    """Handheld, so that another seed must give other frames."""
    return Case(PreviewEngine, EngineSetup(), request_for(PHOTOGRAPH, "handheld push in"), (1, 96, 176))


def still() -> Case:
    """As many steps as cancelling and checkpoints need, and fewer than frames."""
    request = request_for(PHOTOGRAPH, "with sound", steps=8, memory_plan="full")
    return Case(StillEngine, EngineSetup(), request, (1, 96, 176))


SHORT = {"max_sequence_length": 16}
"""Tokens: text encoders need not read hundreds."""


def tiny(engine: str, name: str, other_shape: tuple[int, int, int], **wishes: Any) -> Case:
    """A family with tiny weights. `engine` is its dotted path: torch is imported where it is needed alone."""
    setup = EngineSetup(
        model=name,
        weights=weights(name),
        memory_plan="full",
        precision="fp32",
        options=wishes.pop("setup_options", SHORT),
    )
    usual: dict[str, Any] = {
        "mode": "i2v", "prompt": "a cat turns its head", "negative_prompt": "blurry", "width": 32, "height": 32,
        "frames": 9, "fps": 8, "seed": 7, "image": PHOTOGRAPH, "steps": 8, "guidance": 3.0,
    }  # fmt: skip
    request = EngineRequest(**usual | wishes)
    return Case(type(make(engine)), setup, request, other_shape)


def ltx() -> Case:
    return tiny("generation.engines.ltx:LTXEngine", "tiny-ltx", (1, 64, 32))


WAN = "generation.engines.wan:WanEngine"


def wan_i2v() -> Case:
    """Two experts: at eight steps each has some."""
    return tiny(WAN, "tiny-wan-i2v", (1, 48, 16), setup_options=SHORT | {"guidance_2": 2.0})


def wan_flf2v() -> Case:
    return tiny(WAN, "tiny-wan-i2v", (5, 48, 16), mode="flf2v", last_image=PHOTOGRAPH)


def wan_t2v() -> Case:
    return tiny(WAN, "tiny-wan-t2v", (1, 48, 16), mode="t2v", image=None)


def wan_ti2v() -> Case:
    """A given frame is a latent that is not denoised; with one latent frame there would be nothing else."""
    return tiny(WAN, "tiny-wan-ti2v", (5, 64, 32), frames=17)


COGVIDEOX = "generation.engines.cogvideox:CogVideoXEngine"


def cogvideox_i2v() -> Case:
    """Learned positions: no other size."""
    return tiny(COGVIDEOX, "tiny-cogvideox-i2v", (1, 32, 32))


def cogvideox_t2v() -> Case:
    return tiny(COGVIDEOX, "tiny-cogvideox-t2v", (1, 48, 16), mode="t2v", image=None)


def cogvideox15_i2v() -> Case:
    return tiny(COGVIDEOX, "tiny-cogvideox15-i2v", (1, 48, 16))


def svd() -> Case:
    return tiny("generation.engines.svd:SVDEngine", "tiny-svd", (3, 32, 16), frames=4, width=16, height=16)


HUNYUAN = "generation.engines.hunyuan:HunyuanVideoEngine"
HUNYUAN15 = "generation.engines.hunyuan15:HunyuanVideo15Engine"


def hunyuan_token_replace() -> Case:
    """Guidance is embedded. A clip of a single frame would be the picture itself."""
    return tiny(HUNYUAN, "tiny-hunyuan-i2v", (5, 64, 32), guidance=6.0)


def hunyuan_latent_concat() -> Case:
    return tiny(HUNYUAN, "tiny-hunyuan-i2v-33ch", (1, 64, 32))


def hunyuan_t2v() -> Case:
    """Guided twice: embedded, and by a forward for the negative prompt."""
    wishes: dict[str, Any] = {"mode": "t2v", "image": None, "setup_options": {"true_cfg_scale": 2.0}}
    return tiny(HUNYUAN, "tiny-hunyuan-t2v", (1, 64, 32), **wishes)


def hunyuan15_i2v() -> Case:
    return tiny(HUNYUAN15, "tiny-hunyuan15-i2v", (1, 64, 48))


def hunyuan15_t2v() -> Case:
    return tiny(HUNYUAN15, "tiny-hunyuan15-t2v", (1, 64, 48), mode="t2v", image=None)


LTX2 = "generation.engines.ltx2:LTX2Engine"
ALL_GUIDANCES = {"max_sequence_length": 16, "spatio_temporal_guidance_blocks": [1]}
"""The pipeline's own: each step is three forwards, in batches of different sizes."""


def ltx2_i2v() -> Case:
    return tiny(LTX2, "tiny-ltx2", (1, 64, 32), setup_options=ALL_GUIDANCES)


def ltx2_t2v() -> Case:
    return tiny(LTX2, "tiny-ltx2", (1, 64, 32), mode="t2v", image=None, setup_options=ALL_GUIDANCES)


def ltx2_flf2v() -> Case:
    """On the fixed schedule of distilled weights, without any guidance."""
    fixed = {
        "max_sequence_length": 16,
        "sigmas": [1.0, 0.99375, 0.9875, 0.98125, 0.975, 0.909375, 0.725, 0.421875],
        **{f"{name}_scale": 1.0 for name in ("audio_guidance", "modality", "audio_modality")},
        **{f"{name}_scale": 0.0 for name in ("stg", "audio_stg")},
    }
    wishes: dict[str, Any] = {"mode": "flf2v", "last_image": PHOTOGRAPH, "guidance": 1.0, "setup_options": fixed}
    return tiny(LTX2, "tiny-ltx2", (17, 64, 32), **wishes)


CASES: list[Callable[[], Case]] = [
    preview, still, ltx, wan_i2v, wan_flf2v, wan_t2v, wan_ti2v, cogvideox_i2v, cogvideox_t2v, cogvideox15_i2v, svd,
    hunyuan_token_replace, hunyuan_latent_concat, hunyuan_t2v, hunyuan15_i2v, hunyuan15_t2v, ltx2_i2v, ltx2_t2v,
    ltx2_flf2v,
]  # fmt: skip
"""A new engine joins with a function here."""
