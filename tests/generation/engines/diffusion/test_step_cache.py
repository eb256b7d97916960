"""Step caches: what they spare, that they leave nothing behind, and that checkpoints survive them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from generation.engines.base import Cancelled, Engine, EngineError, EngineRequest, Preempted
from generation.engines.diffusion.step_cache import COMPUTED_FIRST, SERVED, STRENGTHS, StepCache, Strength
from tests.generation.engines.cases import (
    Case,
    cogvideox_i2v,
    hunyuan15_i2v,
    hunyuan_token_replace,
    ltx2_i2v,
    svd,
    wan_i2v,
)
from tests.generation.engines.diffusion.denoisers import denoisers
from tests.generation.engines.recording import Recorder, generate, run, take_up

Loaded = tuple[Engine, EngineRequest]


@pytest.mark.parametrize("name", sorted(SERVED))
@torch.inference_mode()
def test_a_spared_step_on_the_same_input_gives_the_same_output(name: str) -> None:
    denoiser, inputs = denoisers()[name]
    exact = denoiser(**inputs, return_dict=False)
    cache = StepCache([denoiser], "strong")
    with cache.on():
        for step in range(COMPUTED_FIRST + 1):
            made, computed = cache.forward(denoiser, step, partial(denoiser, **inputs, return_dict=False))
            assert computed is (step < COMPUTED_FIRST)
    for one, other in zip(exact, made, strict=True):  # LTX-2 makes picture and sound
        torch.testing.assert_close(one, other)


@torch.inference_mode()
def test_the_first_forward_of_a_step_decides_for_the_others() -> None:
    denoiser, inputs = denoisers()["LTXVideoTransformer3DModel"]
    other = inputs | {"hidden_states": -inputs["hidden_states"]}
    cache = StepCache([denoiser], "light")
    found = []
    with cache.on():
        for step in range(COMPUTED_FIRST + 4):
            # The second forward's input changes wildly from step to step, the first one's never.
            wild = other | {"hidden_states": other["hidden_states"] * 10**step}
            found += [cache.forward(denoiser, step, partial(denoiser, **given))[1] for given in (inputs, wild)]
    assert found[0::2] == found[1::2]
    assert found[0::2] == [True] * COMPUTED_FIRST + [False, True, False, True]


def test_stronger_is_further_from_the_faithful_clip(tiny_ltx: Loaded) -> None:
    engine, request = tiny_ltx
    exact = np.array(run(engine, request), float)
    off = [
        np.abs(np.array(run(engine, replace(request, step_cache=name)), float) - exact).mean()
        for name in STRENGTHS
    ]
    assert 0 < off[0] < off[1] < off[2]


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("at", [1, 5, 6, 8, 11])
def test_a_job_with_a_step_cache_goes_on_to_the_same_clip(
    tiny_ltx: Loaded, tmp_path: Path, strength: str, at: int
) -> None:
    engine, request = tiny_ltx
    request = replace(request, step_cache=strength)
    whole = Recorder(request)
    generate(engine, request, whole)
    stopped = Recorder(request, checkpoint_at=at, keep_in=tmp_path, preempt=True)
    with pytest.raises(Preempted):
        generate(engine, request, stopped)
    assert stopped.kept is not None
    assert at - STRENGTHS[strength].in_a_row - 1 <= stopped.kept.step <= at
    resumed = Recorder(replace(request, checkpoint=stopped.kept))
    generate(engine, resumed.request, resumed)
    assert np.array_equal(resumed.frames, whole.frames)
    assert resumed.steps == whole.steps[stopped.kept.step :]


def test_it_can_be_resumed_again_and_again(tiny_ltx: Loaded, tmp_path: Path) -> None:
    engine, request = tiny_ltx
    request = replace(request, step_cache="strong")
    checkpoint = None
    for at in (5, 6, 9):
        recorder = Recorder(
            replace(request, checkpoint=checkpoint), checkpoint_at=at, keep_in=tmp_path, preempt=True
        )
        with pytest.raises(Preempted):
            generate(engine, recorder.request, recorder)
        checkpoint = recorder.kept
    assert np.array_equal(run(engine, replace(request, checkpoint=checkpoint)), run(engine, request))


@pytest.mark.parametrize("cancel_at", [None, 3, 7])
def test_it_leaves_nothing_behind(tiny_ltx: Loaded, cancel_at: int | None) -> None:
    engine, request = tiny_ltx
    cached = replace(request, step_cache="strong")
    exact, expected = run(engine, request), run(engine, cached)
    recorder = Recorder(cached, cancel_at_step=cancel_at)
    if cancel_at is None:
        generate(engine, cached, recorder)
    else:
        with pytest.raises(Cancelled):
            generate(engine, cached, recorder)
    assert np.array_equal(run(engine, cached), expected)
    assert np.array_equal(run(engine, request), exact)


def test_a_model_without_one_says_so(tiny_ltx: Loaded) -> None:
    with pytest.raises(EngineError, match="Identity has no step cache") as caught:
        StepCache([torch.nn.Identity()], "light")
    assert caught.value.blame == "user"
    engine, request = tiny_ltx
    recorder = Recorder(request)
    with pytest.raises(EngineError, match="must be one of light, balanced, strong, but is 'bold'"):
        generate(engine, replace(request, step_cache="bold"), recorder)
    assert recorder.steps == []


@pytest.mark.parametrize("make_case", [wan_i2v, cogvideox_i2v, hunyuan_token_replace, ltx2_i2v])
def test_every_family_with_one_goes_on_to_the_same_clip(
    make_case: Callable[[], Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Steps of models with random weights differ more than those of real ones.
    monkeypatch.setitem(STRENGTHS, "strong", Strength(10.0, 4))
    case = make_case()
    engine = take_up(case.engine, case.setup)
    request = replace(case.request, step_cache="strong", steps=10)
    exact, whole = run(engine, replace(request, step_cache="")), run(engine, request)
    assert not np.array_equal(whole, exact)
    for at in (5, 7):
        stopped = Recorder(request, checkpoint_at=at, keep_in=tmp_path, preempt=True)
        with pytest.raises(Preempted):
            generate(engine, request, stopped)
        assert np.array_equal(run(engine, replace(request, checkpoint=stopped.kept)), whole)
    assert np.array_equal(run(engine, replace(request, step_cache="")), exact)
    engine.unload()


@pytest.mark.parametrize("make_case", [svd, hunyuan15_i2v])
def test_families_without_one_refuse(make_case: Callable[[], Case]) -> None:
    case = make_case()
    engine = take_up(case.engine, case.setup)
    recorder = Recorder(case.request)
    with pytest.raises(EngineError, match="has no step cache") as caught:
        generate(engine, replace(case.request, step_cache="light"), recorder)
    assert caught.value.blame == "user"
    assert recorder.steps == []
    engine.unload()
