"""LoRA adapters on a tiny pipeline: they act, they are changed for others, and leave nothing behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import LTXConditionPipeline

from generation.engines.base import AdapterUse, EngineError, EngineRequest, EngineSetup, Preempted
from generation.engines.diffusion import adapters
from generation.engines.ltx import LTXEngine
from tests.generation.engines.recording import Recorder, generate, run
from tests.tiny import lora, weights

REQUEST = EngineRequest(
    mode="t2v", prompt="a cat turns its head", width=32, height=32, frames=1, fps=8, seed=7, steps=3, guidance=3.0
)

Uses = Callable[..., EngineRequest]


def setup(**changes: Any) -> EngineSetup:
    usual = EngineSetup(
        model="tiny-ltx",
        weights=weights("tiny-ltx"),
        memory_plan="full",
        precision="fp32",
        options={"max_sequence_length": 16},
    )
    return replace(usual, **changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights, and two adapters for them: `a` of rank 4, `b` of rank 8 for other layers, too."""
    folder = tmp_path_factory.mktemp("adapters")
    pipe = LTXConditionPipeline.from_pretrained(weights("tiny-ltx"))
    lora.write(folder / "a.safetensors", lora.factors(pipe.transformer, 1))
    other_layers = lora.factors(pipe.transformer, 2, rank=8, layers=("to_q", "to_v", "proj"))
    lora.write(folder / "b.safetensors", other_layers)
    return folder


@pytest.fixture(scope="module")
def engine() -> Iterator[LTXEngine]:
    """The engine, once for all tests: each must leave it ready for the next."""
    engine = LTXEngine()
    engine.load(setup())
    yield engine
    engine.unload()


@pytest.fixture(scope="module")
def bare(engine: LTXEngine) -> Any:
    """The frames without any adapter, made before there was one."""
    return run(engine, REQUEST)


@pytest.fixture
def using(folder: Path) -> Uses:
    """The request with adapters, by name and strength."""

    def make(**strengths: float) -> EngineRequest:
        uses = (AdapterUse(name, folder / f"{name}.safetensors", strength) for name, strength in strengths.items())
        return replace(REQUEST, adapters=tuple(uses))

    return make


def alike(one: Any, other: Any) -> bool:
    return np.array_equal(one, other)


def test_an_adapter_changes_the_frames_by_its_strength(engine: LTXEngine, bare: Any, using: Uses) -> None:
    weak, strong = run(engine, using(a=0.2)), run(engine, using(a=1.0))
    assert not alike(weak, bare)
    assert not alike(strong, weak)
    assert alike(run(engine, using(a=0.0)), bare)
    assert not alike(run(engine, using(a=-1.0)), strong)


def test_what_an_earlier_request_used_leaves_no_trace(engine: LTXEngine, bare: Any, using: Uses) -> None:
    first = {names: run(engine, using(**dict.fromkeys(names, 0.7))) for names in ("a", "b", "ab")}
    assert not alike(first["a"], first["b"])
    assert not alike(first["ab"], first["a"])
    assert not alike(first["ab"], first["b"])
    assert alike(run(engine, REQUEST), bare)
    for names in ("b", "a", "ab", "b", "ab", "a"):
        assert alike(run(engine, using(**dict.fromkeys(names, 0.7))), first[names]), names
    assert alike(run(engine, REQUEST), bare)


def test_each_adapter_has_its_own_strength(engine: LTXEngine, using: Uses) -> None:
    assert alike(run(engine, using(a=0.7, b=0.0)), run(engine, using(a=0.7)))
    assert not alike(run(engine, using(a=0.7, b=0.2)), run(engine, using(a=0.2, b=0.7)))


def test_the_base_model_is_neither_loaded_again_nor_touched(
    engine: LTXEngine, using: Uses, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        pytest.fail("the base model was loaded again")

    monkeypatch.setattr(LTXConditionPipeline, "from_pretrained", refuse)
    run(engine, REQUEST)
    transformer = engine.pipe.transformer
    modules = dict(transformer.named_modules())
    before = {name: (weight.data_ptr(), weight.clone()) for name, weight in transformer.named_parameters()}
    for request in (using(a=1.0), using(b=0.5, a=0.5), using(b=1.0), using(a=0.3), REQUEST):
        run(engine, request)
    assert engine.pipe.transformer is transformer
    after = dict(transformer.named_parameters())
    assert after.keys() == before.keys()
    for name, (address, weight) in before.items():
        assert after[name].data_ptr() == address
        assert torch.equal(after[name], weight)
    now = dict(transformer.named_modules())
    assert all(now[name] is module for name, module in modules.items())


def test_a_file_is_read_once_for_many_changes(
    engine: LTXEngine, using: Uses, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(engine, using(a=1.0))
    run(engine, using(b=1.0))

    def refuse(*args: Any) -> None:
        pytest.fail("the file was read again")

    monkeypatch.setattr(adapters, "read_factors", refuse)
    for request in (using(a=0.5), using(b=1.0), REQUEST, using(a=1.0)):
        run(engine, request)


def test_layers_that_are_kept_are_bounded(engine: LTXEngine, using: Uses, monkeypatch: pytest.MonkeyPatch) -> None:
    again = run(engine, using(a=1.0))
    monkeypatch.setattr(adapters, "KEPT_BYTES", 0)
    run(engine, REQUEST)
    assert engine.adapters._kept == {}
    assert alike(run(engine, using(a=1.0)), again)


def test_a_changed_file_is_another_adapter(engine: LTXEngine, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.safetensors"
    request = replace(REQUEST, adapters=(AdapterUse("own", file),))
    frames = []
    for name in ("a", "b"):
        file.write_bytes((folder / f"{name}.safetensors").read_bytes())
        frames.append(run(engine, request))
    assert not alike(*frames)


@pytest.mark.parametrize(("plan", "precision"), [("fp8", "fp8"), ("offload", "fp32"), ("tiled", "bf16")])
def test_every_memory_plan_takes_adapters(using: Uses, plan: str, precision: str) -> None:
    engine = LTXEngine()
    engine.load(setup(memory_plan=plan, precision=precision))
    plain = run(engine, REQUEST)
    acting = run(engine, using(a=0.7))
    other = run(engine, using(b=0.7))
    assert not alike(acting, plain)
    assert not alike(other, acting)
    assert alike(run(engine, REQUEST), plain)
    assert alike(run(engine, using(a=0.7)), acting)
    engine.unload()


def test_offloaded_blocks_make_the_frames_of_the_full_plan(engine: LTXEngine, using: Uses) -> None:
    full = run(engine, using(a=0.7, b=0.3))
    offloaded = LTXEngine()
    offloaded.load(setup(memory_plan="offload"))
    assert alike(run(offloaded, using(a=0.7, b=0.3)), full)
    offloaded.unload()


def test_eight_bit_weights_do_not_cost_the_adapter_its_precision(using: Uses) -> None:
    engine = LTXEngine()
    engine.load(setup(memory_plan="fp8", precision="fp8"))
    engine.adapters.use(using(a=1.0).adapters)
    held = {name: weight for name, weight in engine.pipe.transformer.named_parameters() if ".lora_" in name}
    assert {weight.dtype for weight in held.values()} == {torch.bfloat16}
    asked = lora.factors(LTXConditionPipeline.from_pretrained(weights("tiny-ltx")).transformer, 1)
    for name, tensor in asked.items():
        assert torch.equal(held[name.replace(".weight", ".adapter_0.weight")], tensor.to(torch.bfloat16))
    engine.unload()


# --- Formats -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own() -> dict[str, torch.Tensor]:
    """The factors in the file `a`."""
    return lora.factors(LTXConditionPipeline.from_pretrained(weights("tiny-ltx")).transformer, 1)


def test_the_authors_own_names_are_understood(
    engine: LTXEngine, using: Uses, own: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    file = lora.write(tmp_path / "original.safetensors", own, prefix="diffusion_model.")
    assert alike(run(engine, replace(REQUEST, adapters=(AdapterUse("x", file),))), run(engine, using(a=1.0)))


def test_alpha_scales_the_factors(
    engine: LTXEngine, using: Uses, own: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    scaled = {name.replace("lora_A", "lora_down").replace("lora_B", "lora_up"): own[name] for name in own}
    for name in own:
        scaled[f"{name.partition('.lora_')[0]}.alpha"] = torch.tensor(2.0)  # of rank 4: half as strong
    file = lora.write(tmp_path / "scaled.safetensors", scaled)
    assert alike(run(engine, replace(REQUEST, adapters=(AdapterUse("x", file),))), run(engine, using(a=0.5)))


def test_the_settings_in_a_file_count_but_none_that_would_touch_the_model(
    engine: LTXEngine, bare: Any, using: Uses, own: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    settings = {"r": 4, "lora_alpha": 2, "target_modules": ["to_q"], "init_lora_weights": "pissa"}
    said = {"lora_adapter_metadata": json.dumps({f"transformer.{name}": settings[name] for name in settings})}
    file = lora.write(tmp_path / "said.safetensors", own, metadata=said)
    assert alike(run(engine, replace(REQUEST, adapters=(AdapterUse("x", file),))), run(engine, using(a=0.5)))
    assert alike(run(engine, REQUEST), bare)


# --- What does not fit -------------------------------------------------------------------------------------


def refused(engine: LTXEngine, *uses: AdapterUse) -> EngineError:
    recorder = Recorder(replace(REQUEST, adapters=uses))
    with pytest.raises(EngineError) as caught:
        generate(engine, recorder.request, recorder)
    assert (recorder.frames, recorder.steps) == ([], [])
    return caught.value


def test_what_does_not_fit_the_model_is_refused_before_the_first_step(
    engine: LTXEngine, bare: Any, own: dict[str, torch.Tensor], using: Uses, tmp_path: Path
) -> None:
    transformer = engine.pipe.transformer
    half = {name: own[name] for name in own if "lora_B" not in name or "to_q" not in name}
    dora = {**own, f"{next(iter(own)).partition('.lora_')[0]}.dora_scale": torch.ones(1)}
    cases = {
        "takes 32 values": lora.write(tmp_path / "wide.safetensors", lora.factors(transformer, 1, wider=8)),
        "none of the": lora.write(tmp_path / "other.safetensors", own, prefix="transformer.not_here."),
        "one is missing": lora.write(tmp_path / "half.safetensors", half),
        "is a DoRA": lora.write(tmp_path / "dora.safetensors", dora),
        "is none": lora.write(tmp_path / "strange.safetensors", {"scale_shift_table": torch.ones(2)}),
    }
    nothing = tmp_path / "nothing.safetensors"
    nothing.write_text("no safetensors file")
    cases["no sound safetensors file"] = nothing
    for words, file in cases.items():
        error = refused(engine, *using(a=1.0).adapters, AdapterUse("odd", file))
        assert (error.code, error.blame) == ("adapter_unfit", "user"), words
        assert "the adapter odd does not fit the model" in error.message
        assert words in error.message
        assert alike(run(engine, REQUEST), bare), "must be ready for the next request"


def test_a_pickle_is_never_unpickled(engine: LTXEngine, own: dict[str, torch.Tensor], tmp_path: Path) -> None:
    file = tmp_path / "pickle.bin"
    torch.save(own, file)
    assert refused(engine, AdapterUse("odd", file)).code == "adapter_unfit"


def test_layers_that_the_model_has_not_are_left_out(
    engine: LTXEngine, using: Uses, own: dict[str, torch.Tensor], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    more = {**own, "not_here.lora_A.weight": torch.ones(4, 4), "not_here.lora_B.weight": torch.ones(4, 4)}
    file = lora.write(tmp_path / "more.safetensors", more)
    assert alike(run(engine, replace(REQUEST, adapters=(AdapterUse("x", file),))), run(engine, using(a=1.0)))
    assert "1 of its 13 layers are not the model's" in caplog.text


def test_a_second_experts_file_needs_a_second_expert(engine: LTXEngine, folder: Path) -> None:
    file = folder / "a.safetensors"
    error = refused(engine, AdapterUse("pair", file, low_noise_file=file))
    assert "second expert" in error.message
    assert error.code == "adapter_unfit"


def test_a_file_that_is_not_there_is_the_machines_fault(engine: LTXEngine, bare: Any, tmp_path: Path) -> None:
    error = refused(engine, AdapterUse("gone", tmp_path / "gone.safetensors"))
    assert (error.code, error.blame) == ("adapter_missing", "machine")
    assert alike(run(engine, REQUEST), bare)


# --- Recipe and checkpoints --------------------------------------------------------------------------------


def test_the_recipe_names_adapters_strengths_and_digests(engine: LTXEngine, using: Uses) -> None:
    request = using(a=0.5)
    recorder = Recorder(request)
    recipe = generate(engine, request, recorder)
    (told,) = recipe["adapters"]
    assert (told["name"], told["strength"]) == ("a", 0.5)
    assert told["sha256"] == adapters.digest_of(request.adapters[0].file)
    assert len(told["sha256"]) == 64


def test_a_job_with_an_adapter_goes_on_to_the_same_frames(engine: LTXEngine, using: Uses, tmp_path: Path) -> None:
    request = using(a=0.7, b=0.4)
    recorder = Recorder(request, checkpoint_at=2, keep_in=tmp_path, preempt=True)
    with pytest.raises(Preempted):
        generate(engine, request, recorder)
    run(engine, using(b=1.0))  # another job in between
    assert alike(run(engine, replace(request, checkpoint=recorder.kept)), run(engine, request))


def test_a_checkpoint_of_other_adapters_is_of_no_use(engine: LTXEngine, using: Uses, tmp_path: Path) -> None:
    file = tmp_path / "own.safetensors"
    file.write_bytes(using(a=1.0).adapters[0].file.read_bytes())
    request = replace(REQUEST, adapters=(AdapterUse("own", file, 0.7),))
    recorder = Recorder(request, checkpoint_at=2, keep_in=tmp_path, preempt=True)
    with pytest.raises(Preempted):
        generate(engine, request, recorder)
    stronger = replace(request, adapters=(AdapterUse("own", file, 0.8),), checkpoint=recorder.kept)
    file.write_bytes(using(b=1.0).adapters[0].file.read_bytes())
    other_content = replace(request, checkpoint=recorder.kept)
    for bad in (stronger, other_content, replace(other_content, adapters=())):
        with pytest.raises(EngineError) as caught:
            generate(engine, bad, Recorder(bad))
        assert caught.value.code == "checkpoint_unreadable"
