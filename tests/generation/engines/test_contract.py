"""What `generation.engines.base` promises, for every engine.

A new engine joins with a function in `cases.CASES`.
"""

from __future__ import annotations

import gc
import hashlib
import json
import multiprocessing
import pickle
import weakref
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields, replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from generation.engines.base import (
    Cancelled,
    Engine,
    EngineError,
    EngineRequest,
    EngineSetup,
    Preempted,
)
from tests.generation.engines.cases import CASES, Case
from tests.generation.engines.pictures import PHOTOGRAPH
from tests.generation.engines.recording import Recorder, digest, generate, run, take_up


def go_on(
    engine_class: type[Engine], setup: EngineSetup, request: EngineRequest
) -> tuple[str, list[tuple[int, int]]]:
    """What a process of its own makes of the request: the digest of its frames, and the steps it told of."""
    engine = take_up(engine_class, setup)
    engine.warm_up()
    recorder = Recorder(request)
    generate(engine, request, recorder)
    engine.unload()
    return digest(recorder), recorder.steps


@pytest.fixture(scope="module", params=CASES, ids=lambda make_case: make_case.__name__)
def case(request: pytest.FixtureRequest) -> Case:
    made: Case = request.param()
    return made


@pytest.fixture(scope="module")
def loaded(case: Case) -> Iterator[Engine]:
    """The engine, once for all tests: each must leave it ready for the next."""
    engine = take_up(case.engine, case.setup)
    engine.warm_up()
    yield engine
    engine.unload()


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[ProcessPoolExecutor]:
    """Another process, one for all cases: torch takes seconds to import."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        yield process


@pytest.fixture
def diffusion(case: Case, loaded: Engine) -> Any:
    """The loaded engine, where it has a pipeline."""
    if not hasattr(loaded, "pipe"):
        pytest.skip("this engine has no pipeline")
    return loaded


@pytest.fixture
def pair(case: Case, loaded: Engine) -> tuple[Engine, EngineRequest]:
    """A loaded engine and a request for it."""
    return loaded, case.request


def test_gives_the_frames_that_were_asked_for(case: Case, pair: tuple[Engine, EngineRequest]) -> None:
    engine, request = pair
    for frames, width, height in ((request.frames, request.width, request.height), case.other_shape):
        run(engine, replace(request, frames=frames, width=width, height=height))


def test_progress_rises_to_the_total(pair: tuple[Engine, EngineRequest]) -> None:
    engine, request = pair
    recorder = Recorder(request)
    generate(engine, request, recorder)
    done, totals = zip(*recorder.steps, strict=True)
    assert len(set(totals)) == 1
    assert list(done) == list(range(1, totals[0] + 1))


def test_the_recipe_survives_json_and_names_engine_and_seed(pair: tuple[Engine, EngineRequest]) -> None:
    engine, request = pair
    recorder = Recorder(request)
    recipe = dict(generate(engine, request, recorder))
    assert json.loads(json.dumps(recipe)) == recipe
    assert recipe["seed"] == request.seed
    assert recipe["engine"]
    assert recipe["version"]


@pytest.mark.parametrize("step", [1, 4])
def test_cancelling_at_a_step_ends_the_work(pair: tuple[Engine, EngineRequest], step: int) -> None:
    engine, request = pair
    expected = run(engine, request)
    recorder = Recorder(request, cancel_at_step=step)
    with pytest.raises(Cancelled):
        generate(engine, request, recorder)
    assert len(recorder.steps) == step
    assert len(recorder.frames) <= step
    assert np.array_equal(run(engine, request), expected), "must be ready for the next request"


@pytest.mark.parametrize("before_the_end", [4, 0])
def test_cancelling_decodes_nothing(
    diffusion: Any, case: Case, monkeypatch: pytest.MonkeyPatch, before_the_end: int
) -> None:
    decoded = Mock(wraps=diffusion.pipe.vae.decode)
    monkeypatch.setattr(diffusion.pipe.vae, "decode", decoded)
    whole = Recorder(case.request)
    generate(diffusion, case.request, whole)
    assert decoded.called
    decoded.reset_mock()
    recorder = Recorder(case.request, cancel_at_step=len(whole.steps) - before_the_end)
    with pytest.raises(Cancelled):
        generate(diffusion, case.request, recorder)
    assert not decoded.called


def test_cancelling_at_the_sink_ends_the_work(pair: tuple[Engine, EngineRequest]) -> None:
    engine, request = pair
    recorder = Recorder(request, cancel_at_frame=3)
    with pytest.raises(Cancelled):
        generate(engine, request, recorder)
    assert len(recorder.frames) == 3
    run(engine, request)


def test_the_seed_decides_the_frames(pair: tuple[Engine, EngineRequest]) -> None:
    engine, request = pair
    first, again = run(engine, request), run(engine, request)
    other = run(engine, replace(request, seed=request.seed + 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_largest_seeds_are_fine(pair: tuple[Engine, EngineRequest]) -> None:
    engine, request = pair
    run(engine, replace(request, seed=2**63 - 1))


@pytest.mark.parametrize("picture", ["image", "last_image"])
def test_an_unreadable_picture_is_the_users_fault(
    pair: tuple[Engine, EngineRequest], tmp_path: Path, picture: str
) -> None:
    engine, request = pair
    if getattr(request, picture) is None:
        pytest.skip(f"the mode {request.mode} takes no {picture}")
    broken = tmp_path / "broken.png"
    broken.write_bytes(PHOTOGRAPH.read_bytes()[:20_000])
    nothing = tmp_path / "nothing.png"
    nothing.write_text("not a picture")
    for file in (broken, nothing, None):
        bad = replace(request, **{picture: file})
        recorder = Recorder(bad)
        with pytest.raises(EngineError) as caught:
            generate(engine, bad, recorder)
        assert caught.value.blame == "user"
        assert (recorder.frames, recorder.steps) == ([], [])
        copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own, as between processes
        assert (copy.code, copy.message, copy.blame) == (caught.value.code, caught.value.message, "user")
    run(engine, request)


def test_a_mode_that_it_does_not_have_is_refused(pair: tuple[Engine, EngineRequest]) -> None:
    engine, request = pair
    bad = replace(request, mode="no-such-mode")
    recorder = Recorder(bad)
    with pytest.raises(EngineError, match="no-such-mode") as caught:
        generate(engine, bad, recorder)
    assert caught.value.blame == "user"


def test_asks_for_checkpoints_after_every_step_but_the_last(pair: tuple[Engine, EngineRequest]) -> None:
    engine, request = pair
    recorder = Recorder(request)
    generate(engine, request, recorder)
    assert recorder.asked_at == [done for done, _ in recorder.steps[:-1]]


@pytest.mark.parametrize("preempt", [False, True])
def test_another_process_goes_on_from_a_checkpoint_to_the_same_frames(
    case: Case,
    pair: tuple[Engine, EngineRequest],
    elsewhere: ProcessPoolExecutor,
    tmp_path: Path,
    preempt: bool,
) -> None:
    engine, request = pair
    recorder = Recorder(request, checkpoint_at=5, keep_in=tmp_path, preempt=preempt)
    try:
        generate(engine, request, recorder)
    except Preempted:
        assert preempt
    else:
        assert not preempt, "must let Preempted pass"
    assert recorder.kept is not None
    assert recorder.kept.step == 5
    assert (len(recorder.steps) == 5) is preempt, "must do no more work"
    whole = Recorder(request)
    generate(engine, request, whole)
    going_on = replace(request, checkpoint=recorder.kept)
    resumed, steps = elsewhere.submit(go_on, case.engine, case.setup, going_on).result()
    assert resumed == digest(whole)
    assert steps == whole.steps[5:]


def test_a_resumed_job_can_be_checkpointed_and_resumed_again(
    pair: tuple[Engine, EngineRequest], tmp_path: Path
) -> None:
    engine, request = pair
    checkpoint = None
    for at in (2, 5):
        recorder = Recorder(
            replace(request, checkpoint=checkpoint), checkpoint_at=at, keep_in=tmp_path, preempt=True
        )
        with pytest.raises(Preempted):
            generate(engine, recorder.request, recorder)
        checkpoint = recorder.kept
    assert np.array_equal(run(engine, replace(request, checkpoint=checkpoint)), run(engine, request))


@pytest.mark.parametrize("damage", ["cut off", "bit flipped", "missing", "of another seed"])
def test_a_checkpoint_that_is_of_no_use_is_refused_before_any_frame(
    pair: tuple[Engine, EngineRequest], tmp_path: Path, damage: str
) -> None:
    engine, request = pair
    recorder = Recorder(request, checkpoint_at=4, keep_in=tmp_path, preempt=True)
    with pytest.raises(Preempted):
        generate(engine, request, recorder)
    assert recorder.kept is not None
    file, content = recorder.kept.file, recorder.kept.file.read_bytes()
    if damage == "cut off":
        file.write_bytes(content[:-1])
    elif damage == "bit flipped":
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "missing":
        file.unlink()
    seed = request.seed + (damage == "of another seed")
    bad = Recorder(replace(request, checkpoint=recorder.kept, seed=seed))
    with pytest.raises(EngineError) as caught:
        generate(engine, bad.request, bad)
    assert caught.value.code == "checkpoint_unreadable"
    assert (bad.frames, bad.steps) == ([], [])
    run(engine, request)


def test_a_recipe_makes_the_same_clip_again(diffusion: Any, case: Case) -> None:
    recorder = Recorder(case.request)
    recipe = json.loads(json.dumps(generate(diffusion, case.request, recorder)))
    for picture in ("image", "last_image"):
        file = getattr(case.request, picture)
        expected = hashlib.sha256(file.read_bytes()).hexdigest() if file else None
        assert recipe.get(f"{picture}_sha256") == expected
    setup = recipe["setup"]
    engine = take_up(
        case.engine,
        EngineSetup(
            model=recipe["model"],
            weights=case.setup.weights,
            memory_plan=recipe["memory_plan"],
            precision=recipe["precision"],
            scheduler=setup.pop("scheduler"),
            shift=setup.pop("shift"),
            options=setup,
        ),
    )
    names = {field.name for field in fields(EngineRequest)} - {"adapters"}
    told = {name: value for name, value in recipe.items() if name in names}
    again = EngineRequest(**told, image=case.request.image, last_image=case.request.last_image)
    assert np.array_equal(run(engine, again), recorder.frames)
    engine.unload()


def address(tensor: Any) -> int:
    """Where its numbers lie; nowhere for those of `torch.compile`, which other tests may have left behind."""
    try:
        return int(tensor.untyped_storage().data_ptr())
    except RuntimeError:
        return 0


def test_unloading_gives_the_memory_back(diffusion: Any, case: Case) -> None:
    import torch  # noqa: PLC0415  engines without weights are tested without it

    engine: Any = take_up(case.engine, case.setup)
    expected = run(engine, case.request)
    pipe = weakref.ref(engine.pipe)
    parts = [part for part in engine.pipe.components.values() if isinstance(part, torch.nn.Module)]
    storages = {address(tensor) for part in parts for tensor in part.state_dict().values()}
    del parts

    def held() -> int:
        tensors = (thing for thing in gc.get_objects() if issubclass(type(thing), torch.Tensor))
        return sum(address(tensor) in storages for tensor in tensors)

    assert held() >= len(storages)
    engine.unload()
    assert pipe() is None
    assert held() == 0
    engine.load(case.setup)
    assert np.array_equal(run(engine, case.request), expected)
    engine.unload()
