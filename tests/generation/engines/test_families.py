"""What is particular to a family, beside the contract that all hold to: on tiny weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler

from generation.engines.base import EngineError, EngineRequest, EngineSetup
from generation.engines.cogvideox import CogVideoXEngine
from generation.engines.diffusion.engine import DiffusionEngine
from generation.engines.diffusion.loading import scheduler_for
from generation.engines.svd import SVDEngine
from generation.engines.wan import WanEngine
from tests.generation.engines.pictures import PHOTOGRAPH, request_for
from tests.generation.engines.recording import run, take_up
from tests.tiny import weights


def loaded(kind: type[DiffusionEngine], name: str, **setup: Any) -> Any:
    usual: dict[str, Any] = {"memory_plan": "full", "precision": "fp32", "options": {"max_sequence_length": 16}}
    return take_up(kind, EngineSetup(model=name, **{"weights": weights(name)} | usual | setup))


def asks(**changes: Any) -> EngineRequest:
    usual: dict[str, Any] = {"width": 32, "height": 32, "frames": 5, "fps": 8, "steps": 4, "guidance": 3.0}
    return request_for(PHOTOGRAPH, "a cat turns its head", **usual | changes)


@pytest.fixture(scope="module")
def wan() -> Any:
    return loaded(WanEngine, "tiny-wan-i2v")


@pytest.fixture(scope="module")
def svd() -> Any:
    return loaded(SVDEngine, "tiny-svd", options={})


@pytest.mark.parametrize(
    ("kind", "name", "modes"),
    [
        (WanEngine, "tiny-wan-i2v", {"i2v", "flf2v"}),
        (WanEngine, "tiny-wan-t2v", {"t2v"}),
        (WanEngine, "tiny-wan-ti2v", {"i2v", "t2v"}),
        (CogVideoXEngine, "tiny-cogvideox-i2v", {"i2v"}),
        (CogVideoXEngine, "tiny-cogvideox-t2v", {"t2v"}),
        (SVDEngine, "tiny-svd", {"i2v"}),
    ],
)
def test_modes_are_seen_from_the_weights(kind: type[DiffusionEngine], name: str, modes: set[str]) -> None:
    engine = loaded(kind, name)
    assert engine.served_modes() == modes
    for mode in modes:
        pictures = {"image": None if mode == "t2v" else PHOTOGRAPH, "last_image": PHOTOGRAPH}
        run(engine, replace(asks(), mode=mode, **pictures))
    with pytest.raises(EngineError, match=f"mode must be {' or '.join(sorted(modes))}, but is a2v"):
        run(engine, asks(mode="a2v"))


# --- Wan --------------------------------------------------------------------------------------------------------


def test_each_expert_has_its_steps_and_its_guidance(wan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    high = Mock(wraps=wan.pipe.transformer.forward)
    low = Mock(wraps=wan.pipe.transformer_2.forward)
    monkeypatch.setattr(wan.pipe.transformer, "forward", high)
    monkeypatch.setattr(wan.pipe.transformer_2, "forward", low)
    usual = run(wan, asks(steps=8))
    assert high.call_count + low.call_count == 2 * 8  # two branches of guidance
    assert min(high.call_count, low.call_count) > 0
    boundary = wan.pipe.config.boundary_ratio * 1000
    assert all(call.kwargs["timestep"].min() >= boundary for call in high.call_args_list)
    assert all(call.kwargs["timestep"].max() < boundary for call in low.call_args_list)
    assert np.array_equal(run(wan, asks(steps=8, options={"guidance_2": 3.0})), usual)
    assert not np.array_equal(run(wan, asks(steps=8, options={"guidance_2": 9.0})), usual)


def test_the_last_picture_counts(wan: Any) -> None:
    to_itself = run(wan, asks(mode="flf2v", last_image=PHOTOGRAPH))
    assert not np.array_equal(run(wan, asks(mode="i2v")), to_itself)


def test_a_preset_can_bend_the_schedule_and_leaves_it_as_it_was(wan: Any) -> None:
    usual = wan.pipeline_for(asks()).scheduler
    bent = wan.pipeline_for(asks(options={"shift": 9.0})).scheduler
    assert (usual.config.flow_shift, bent.config.flow_shift) == (3.0, 9.0)
    assert wan.pipeline_for(asks()).scheduler is usual


def test_euler_steps_are_those_of_the_textbook(wan: Any) -> None:
    scheduler = wan.pipeline_for(asks(options={"euler": True, "shift": 5.0})).scheduler
    scheduler.set_timesteps(4)
    published = torch.tensor([1.0, 0.75, 0.5, 0.25])
    published = 5 * published / (1 + 4 * published)
    assert torch.allclose(scheduler.sigmas[:-1], published, atol=1e-3)
    sample = torch.randn(1, 4, 2, 2, 2, generator=torch.Generator().manual_seed(0))
    by_hand = sample.clone()
    for index, timestep in enumerate(scheduler.timesteps):
        velocity = torch.sin(by_hand) + 0.1 * index
        by_hand = by_hand + (scheduler.sigmas[index + 1] - scheduler.sigmas[index]) * velocity
        sample = scheduler.step(torch.sin(sample) + 0.1 * index, timestep, sample).prev_sample
        assert torch.allclose(sample, by_hand, atol=1e-4)


def test_the_catalogs_shift_reaches_whichever_scheduler_it_names() -> None:
    weights_own = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)
    assert scheduler_for(weights_own, EngineSetup(shift=5.0)).config.flow_shift == 5.0
    other = scheduler_for(weights_own, EngineSetup(scheduler="FlowMatchEulerDiscreteScheduler", shift=5.0))
    assert isinstance(other, FlowMatchEulerDiscreteScheduler)
    assert other.config.shift == 5.0


# --- CogVideoX --------------------------------------------------------------------------------------------------


def test_learned_positions_refuse_other_sizes_before_the_first_step() -> None:
    engine = loaded(CogVideoXEngine, "tiny-cogvideox-i2v")
    with pytest.raises(EngineError, match="the size must be 32 × 32, but is 64 × 32") as caught:
        run(engine, asks(width=64))
    assert caught.value.blame == "user"


def test_dynamic_guidance_and_the_published_spacing() -> None:
    engine = loaded(CogVideoXEngine, "tiny-cogvideox-t2v")
    assert engine.pipe.scheduler.config.timestep_spacing == "trailing"
    plain, dynamic = (run(engine, asks(mode="t2v", options={"use_dynamic_cfg": on})) for on in (False, True))
    assert not np.array_equal(plain, dynamic)


# --- Stable Video Diffusion -------------------------------------------------------------------------------------


def test_words_are_ignored_and_options_are_not(svd: Any) -> None:
    small = asks(width=16, height=16, frames=3)
    usual = run(svd, small)
    assert np.array_equal(run(svd, replace(small, prompt="something else", negative_prompt="blurry")), usual)
    for option, value in (("motion_bucket_id", 255), ("noise_aug_strength", 0.5), ("min_guidance", 3.0)):
        assert not np.array_equal(run(svd, replace(small, options={option: value})), usual), option
    assert not np.array_equal(run(svd, replace(small, fps=30)), usual), "the frame rate is told to the model"


def test_weights_in_half_precision_are_found_by_their_name(svd: Any, tmp_path: Path) -> None:
    svd.pipe.save_pretrained(tmp_path, variant="fp16")
    assert loaded(SVDEngine, "tiny-svd", weights=tmp_path, precision="fp16").pipe.unet.dtype == torch.float16
    assert loaded(SVDEngine, "tiny-svd", precision="fp16").pipe.unet.dtype == torch.float16, "of either name"


@pytest.mark.parametrize(
    ("plan", "options", "together"),
    [("full", {}, [3]), ("full", {"decode_chunk_size": 1}, [1, 1, 1]), ("tiled", {}, [2, 1])],
)
def test_frames_are_decoded_as_many_together_as_there_is_room_for(
    svd: Any, monkeypatch: pytest.MonkeyPatch, plan: str, options: dict[str, Any], together: list[int]
) -> None:
    small = asks(width=16, height=16, frames=3, memory_plan=plan, options=options)
    run(svd, small)  # which loads under the plan
    decode = Mock(wraps=svd.pipe.vae.decode)
    monkeypatch.setattr(svd.pipe.vae, "decode", decode)
    run(svd, small)
    assert [len(call.args[0]) for call in decode.call_args_list] == together
