"""What `generation.engines.base` promises, for every engine.

A new engine joins with one line in `ENGINES`: its class and a function that makes a small request for it.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from generation.engines.base import Cancelled, Engine, EngineError, EngineRequest
from generation.engines.preview import PreviewEngine
from tests.generation.engines.pictures import PHOTOGRAPH, Picture, request_for

RequestFactory = Callable[[Path], EngineRequest]


def handheld_request(folder: Path) -> EngineRequest:
    """Handheld, so that another seed must give other frames."""
    return request_for(PHOTOGRAPH, "handheld push in")


ENGINES: list[tuple[type[Engine], RequestFactory]] = [
    (PreviewEngine, handheld_request),
]


@dataclass
class Recorder:
    """A frame sink and a progress listener in one; either can call the job off."""

    request: EngineRequest
    cancel_at_step: int | None = None
    cancel_at_frame: int | None = None
    frames: list[Picture] = field(default_factory=list)
    steps: list[tuple[int, int]] = field(default_factory=list)

    def write(self, frame: Picture) -> None:
        """Copy the frame, as sinks do, having looked whether it is what was asked for."""
        if len(self.frames) == self.cancel_at_frame:
            raise Cancelled
        assert frame.shape == (self.request.height, self.request.width, 3)
        assert frame.dtype == np.uint8
        assert frame.flags.c_contiguous
        self.frames.append(frame.copy())

    def on_step(self, done: int, total: int) -> None:
        """Note the step."""
        self.steps.append((done, total))
        if len(self.steps) == self.cancel_at_step:
            raise Cancelled


def run(engine: Engine, request: EngineRequest) -> list[Picture]:
    """The frames of a request that nobody calls off."""
    recorder = Recorder(request)
    engine.generate(request, recorder, recorder.on_step)
    assert len(recorder.frames) == request.frames
    return recorder.frames


@pytest.fixture(params=ENGINES, ids=lambda pair: pair[0].__name__)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Engine, EngineRequest]]:
    """A loaded engine and a request for it."""
    engine_class, request_factory = request.param
    engine = engine_class()
    engine.load()
    engine.warm_up()
    yield engine, request_factory(tmp_path)
    engine.unload()


def test_gives_the_frames_that_were_asked_for(pair: tuple[Engine, EngineRequest]) -> None:
    engine, request = pair
    for frames, width, height in ((request.frames, request.width, request.height), (1, 96, 176)):
        run(engine, replace(request, frames=frames, width=width, height=height))


def test_progress_rises_to_the_total(pair: tuple[Engine, EngineRequest]) -> None:
    engine, request = pair
    recorder = Recorder(request)
    engine.generate(request, recorder, recorder.on_step)
    done, totals = zip(*recorder.steps, strict=True)
    assert len(set(totals)) == 1
    assert list(done) == list(range(1, totals[0] + 1))


def test_the_recipe_survives_json_and_names_engine_and_seed(pair: tuple[Engine, EngineRequest]) -> None:
    engine, request = pair
    recorder = Recorder(request)
    recipe = dict(engine.generate(request, recorder, recorder.on_step))
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
        engine.generate(request, recorder, recorder.on_step)
    assert len(recorder.steps) == step
    assert len(recorder.frames) <= step
    assert np.array_equal(run(engine, request), expected), "must be ready for the next request"


def test_cancelling_at_the_sink_ends_the_work(pair: tuple[Engine, EngineRequest]) -> None:
    engine, request = pair
    recorder = Recorder(request, cancel_at_frame=3)
    with pytest.raises(Cancelled):
        engine.generate(request, recorder, recorder.on_step)
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
    run(engine, replace(request, seed=2**63 - 1, frames=1))


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
            engine.generate(bad, recorder, recorder.on_step)
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
        engine.generate(bad, recorder, recorder.on_step)
    assert caught.value.blame == "user"
