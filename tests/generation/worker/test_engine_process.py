"""The parent's side of a real engine process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from generation import catalog
from generation.engines.base import EngineRequest, EngineSetup
from generation.engines.frames import FrameRing
from generation.engines.process import Checkpointing
from generation.worker.drain import Wish
from generation.worker.engine_process import EngineProcess

pytestmark = pytest.mark.processes


class Follower:
    """Follows a request; stumbles at the step `stumbles_at`."""

    def __init__(self, stumbles_at: int = 0) -> None:
        self.stumbles_at = stumbles_at
        self.steps: list[int] = []

    def on_start(self) -> None: ...

    def on_step(self, done: int, total: int) -> None:
        if done == self.stumbles_at:
            raise RuntimeError("something unforeseen")
        self.steps.append(done)

    def on_frames(self, written: int) -> None: ...

    def on_checkpoint(self, step: int, file: Path) -> None: ...

    def on_sound(self, file: Path) -> None: ...

    def wish(self) -> Wish:
        return Wish.GO_ON


@pytest.fixture
def engine() -> Iterator[EngineProcess]:
    process = EngineProcess(catalog.models()["still"], EngineSetup())
    process.start()
    yield process
    process.kill()


def frames_of(engine: EngineProcess, folder: Path, follower: Follower, **wishes: object) -> bytes:
    """Everything in the ring after one request of eight frames."""
    request = EngineRequest("t2v", str(wishes.pop("prompt", "")), 16, 16, 8, 8, **wishes)  # type: ignore[arg-type]
    ring = FrameRing.create(16, 16, 8)
    try:
        engine.run(request, ring, Checkpointing(folder, 3600), follower)
    finally:
        content = bytes(ring.memory)
        ring.close()
    return content


def test_a_request_that_was_dropped_half_way_leaves_nothing_to_the_next_one(
    engine: EngineProcess, tmp_path: Path
) -> None:
    due = frames_of(engine, tmp_path, Follower(), seed=2, steps=3)
    with pytest.raises(RuntimeError):
        frames_of(engine, tmp_path, Follower(stumbles_at=2), seed=1, steps=20, prompt="pause=0.05")
    engine.start()
    follower = Follower()
    assert frames_of(engine, tmp_path, follower, seed=2, steps=3) == due
    assert follower.steps == [1, 2, 3]
