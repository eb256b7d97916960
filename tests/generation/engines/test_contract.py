"""What `generation.engines.base` promises, for every engine.

A new engine joins with a function in `CASES`.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import pickle
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from generation.engines.base import (
    Cancelled,
    Checkpoint,
    Engine,
    EngineError,
    EngineRequest,
    EngineSetup,
    Preempted,
)
from generation.engines.preview import PreviewEngine
from generation.engines.process import make
from tests.engines import StillEngine
from tests.generation.engines.pictures import PHOTOGRAPH, Picture, request_for
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
    return Case(StillEngine, EngineSetup(), request_for(PHOTOGRAPH, steps=8, memory_plan="full"), (1, 96, 176))


def tiny(engine: str, name: str, other_shape: tuple[int, int, int], **wishes: Any) -> Case:
    """A family with tiny weights. `engine` is its dotted path: torch is imported where it is needed alone."""
    setup = EngineSetup(
        model=name,
        weights=weights(name),
        memory_plan="full",
        precision="fp32",
        options=wishes.pop("setup_options", {}),
    )
    usual: dict[str, Any] = {
        "mode": "i2v", "prompt": "a cat turns its head", "negative_prompt": "blurry", "width": 32, "height": 32,
        "frames": 9, "fps": 8, "seed": 7, "image": PHOTOGRAPH, "steps": 8, "guidance": 3.0,
    }  # fmt: skip
    request = EngineRequest(**usual | wishes)
    return Case(type(make(engine)), setup, request, other_shape)


def ltx() -> Case:
    return tiny(
        "generation.engines.ltx:LTXEngine",
        "tiny-ltx",
        (1, 64, 32),
        setup_options={"max_sequence_length": 16},
    )


CASES: list[Callable[[], Case]] = [preview, still, ltx]
"""A new engine joins with a function here."""


@dataclass
class Recorder:
    """A frame sink, a progress listener and a place for checkpoints in one; each can end the work.

    A checkpoint is wanted after the step `checkpoint_at`, in the folder `keep_in`; it stops the engine when
    `preempt` is set.
    """

    request: EngineRequest
    cancel_at_step: int | None = None
    cancel_at_frame: int | None = None
    checkpoint_at: int | None = None
    keep_in: Path = Path()
    preempt: bool = False
    frames: list[Picture] = field(default_factory=list)
    steps: list[tuple[int, int]] = field(default_factory=list)
    asked_at: list[int] = field(default_factory=list)
    kept: Checkpoint | None = None

    def write(self, frame: Picture) -> None:
        """Copy the frame, as sinks do, having looked whether it is what was asked for."""
        if len(self.frames) == self.cancel_at_frame:
            raise Cancelled
        assert frame.shape == (self.request.height, self.request.width, 3)
        assert frame.dtype == np.uint8
        assert frame.flags.c_contiguous
        self.frames.append(frame.copy())

    def sound(self, samples: np.ndarray, rate: int) -> None:
        """Look whether it is sound."""
        assert samples.dtype == np.int16
        assert samples.ndim == 2
        assert rate > 0

    def on_step(self, done: int, total: int) -> None:
        """Note the step."""
        self.steps.append((done, total))
        if len(self.steps) == self.cancel_at_step:
            raise Cancelled

    def due(self) -> bool:
        """Whether the step that was told last is the one."""
        self.asked_at.append(self.steps[-1][0])
        return self.steps[-1][0] == self.checkpoint_at

    def save(self, step: int, write: Callable[[Path], None]) -> None:
        """Have it written where another process can read it."""
        self.kept = Checkpoint(step, self.keep_in / f"checkpoint-{step}")
        write(self.kept.file)
        if self.preempt:
            raise Preempted


def generate(engine: Engine, request: EngineRequest, recorder: Recorder) -> Mapping[str, Any]:
    return engine.generate(request, recorder, recorder.on_step, recorder)


def run(engine: Engine, request: EngineRequest) -> list[Picture]:
    """The frames of a request that nobody calls off."""
    recorder = Recorder(request)
    generate(engine, request, recorder)
    assert len(recorder.frames) == request.frames
    return recorder.frames


def digest(frames: list[Picture]) -> str:
    return hashlib.sha256(b"".join(frame.tobytes() for frame in frames)).hexdigest()


def go_on(
    engine_class: type[Engine], setup: EngineSetup, request: EngineRequest
) -> tuple[str, list[tuple[int, int]]]:
    """What a process of its own makes of the request: the digest of its frames, and the steps it told of."""
    engine = engine_class()
    engine.load(setup)
    engine.warm_up()
    recorder = Recorder(request)
    generate(engine, request, recorder)
    engine.unload()
    return digest(recorder.frames), recorder.steps


@pytest.fixture(scope="module", params=CASES, ids=lambda make_case: make_case.__name__)
def case(request: pytest.FixtureRequest) -> Case:
    made: Case = request.param()
    return made


@pytest.fixture(scope="module")
def loaded(case: Case) -> Iterator[Engine]:
    """The engine, once for all tests: each must leave it ready for the next."""
    engine = case.engine()
    engine.load(case.setup)
    engine.warm_up()
    yield engine
    engine.unload()


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


def test_an_unreadable_image_is_the_users_fault(pair: tuple[Engine, EngineRequest], tmp_path: Path) -> None:
    engine, request = pair
    broken = tmp_path / "broken.png"
    broken.write_bytes(PHOTOGRAPH.read_bytes()[:20_000])
    nothing = tmp_path / "nothing.png"
    nothing.write_text("not a picture")
    for bad in (
        replace(request, image=broken),
        replace(request, image=nothing),
        replace(request, image=None),
    ):
        recorder = Recorder(bad)
        with pytest.raises(EngineError) as caught:
            generate(engine, bad, recorder)
        assert caught.value.blame == "user"
        assert recorder.frames == []
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
    case: Case, pair: tuple[Engine, EngineRequest], tmp_path: Path, preempt: bool
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
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as elsewhere:
        going_on = replace(request, checkpoint=recorder.kept)
        resumed, steps = elsewhere.submit(go_on, case.engine, case.setup, going_on).result()
    assert resumed == digest(whole.frames)
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
