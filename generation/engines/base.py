"""The contract between the platform and every engine that turns a request into frames.

An engine lives in its own *spawned* process (`generation/engines/process.py`), holds one resident model and
serves one request at a time. The words SHALL and MAY below are tested for every engine by
`tests/generation/engines/test_contract.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Frame: TypeAlias = NDArray[np.uint8]
    """One picture: uint8, height × width × 3, sRGB."""


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """What one job asks of an engine: already validated against the catalog, nothing left to default.

    `image` is a clean local file (EXIF orientation applied, sRGB, RGB or RGBA), or None in text-to-video.
    `width` and `height` are pixels, `frames` a count, `fps` frames per second; `steps` and `guidance` are None
    for models that have none.
    """

    mode: str
    prompt: str
    width: int
    height: int
    frames: int
    fps: int
    seed: int
    image: Path | None = None
    negative_prompt: str = ""
    steps: int | None = None
    guidance: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


OnStep: TypeAlias = Callable[[int, int], None]
"""Called as `on_step(done, total)` after every step; raises `Cancelled` when the job is no longer wanted."""


class FrameSink(Protocol):
    """Where frames go: a ring in shared memory that the finish stage reads while the engine still works."""

    def write(self, frame: Frame) -> None:
        """Hand over the next frame; the sink copies it. MAY wait for room, and MAY raise `Cancelled`.

        Raises ValueError when the frame's shape or dtype is not the one asked for.
        """


class Engine(Protocol):
    """One model family."""

    def load(self) -> None:
        """Bring the model into memory. SHALL NOT go to the network. Raises `EngineError` with the reason."""

    def warm_up(self) -> None:
        """Do once whatever would make the first request slower than the next ones."""

    def generate(self, request: EngineRequest, frames: FrameSink, on_step: OnStep) -> Mapping[str, Any]:
        """Make the clip and return its recipe: whatever is needed to make the same clip again.

        SHALL write exactly `request.frames` frames of `request.height` × `request.width`; SHALL call
        `on_step` at least once a step; SHALL let `Cancelled` pass, doing no more work; SHALL give the same
        frames for the same request and seed; SHALL leave itself ready for the next request whatever happened.

        Raises `EngineError`.
        """

    def unload(self) -> None:
        """Give back the memory that `load` took."""


class Cancelled(Exception):
    """The job is no longer wanted: stop within this step. Raised by `on_step` or by the frame sink."""


class EngineError(Exception):
    """A request failed. `blame` says whose doing it is, which decides whether a retry can help.

    - `user`: the input is at fault; the same input fails anywhere, so no retry.
    - `machine`: this machine is at fault (out of memory, device lost); retry elsewhere.
    - `ours`: a fault of the engine; retry, and tell the operator.
    """

    def __init__(self, code: str, message: str, blame: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.blame = blame

    def __reduce__(self) -> tuple[type[EngineError], tuple[str, str, str]]:
        return type(self), (self.code, self.message, self.blame)
