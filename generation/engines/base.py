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
    Sound: TypeAlias = NDArray[np.int16]
    """Sound: int16, samples × channels."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What it takes to go on after `step`: a local file in a format of the engine's own."""

    step: int
    file: Path


KEPT_ADAPTERS_MIB = 2048
"""So much of the adapters of earlier requests MAY an engine keep in main memory."""


@dataclass(frozen=True, slots=True)
class AdapterUse:
    """A LoRA that a request asks for: a local safetensors file and how strongly it acts.

    Where a model has two experts, `file` is for the one of the high noise, and `low_noise_file`, if any, for the
    other.
    """

    name: str
    file: Path
    strength: float = 1.0
    low_noise_file: Path | None = None


@dataclass(frozen=True, slots=True)
class EngineSetup:
    """What an engine is loaded with, the same for all of its requests.

    `weights` is a local folder in the layout of diffusers; None for models without weights. `revision` is the
    commit that lies there, empty where nobody has noted it. `single_file` takes the place of the part of the
    pipeline that it names. `memory_plan` is the catalog's that fits this machine, or empty. `scheduler`, `shift`
    and `options` are the catalog's. `cache` is a folder for what may be kept from one start to the next, such as
    compiled code; None is: keep nothing. `warm_up` is a request of the usual shape, without a picture.
    """

    model: str = ""
    weights: Path | None = None
    revision: str = ""
    single_file: tuple[str, Path] | None = None
    memory_plan: str = ""
    precision: str = ""
    scheduler: str = ""
    shift: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    cache: Path | None = None
    warm_up: EngineRequest | None = None


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """What one job asks of an engine: already validated against the catalog, nothing left to default.

    `image` is a clean local file (EXIF orientation applied, sRGB, RGB or RGBA), or None in text-to-video;
    `last_image` is another where the mode wants one. `width`, `height` (pixels) and `frames` are legal for the
    model, `fps` is frames per second; `steps` and `guidance` are None for models that have none. `memory_plan` is
    the one to run under, whatever the engine was loaded with; empty is: that one. `step_cache` is empty or one of
    light, balanced and strong. `options` are the preset's, over the setup's. `checkpoint` is what an earlier
    attempt left: go on after its step.
    """

    mode: str
    prompt: str
    width: int
    height: int
    frames: int
    fps: int
    seed: int
    image: Path | None = None
    last_image: Path | None = None
    negative_prompt: str = ""
    steps: int | None = None
    guidance: float | None = None
    memory_plan: str = ""
    step_cache: str = ""
    adapters: tuple[AdapterUse, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None


OnStep: TypeAlias = Callable[[int, int], None]
"""Called as `on_step(done, total)` after every step; raises `Cancelled` when the job is no longer wanted."""


class FrameSink(Protocol):
    """Where frames go: a ring in shared memory that the finish stage reads while the engine still works."""

    def write(self, frame: Frame) -> None:
        """Hand over the next frame; the sink copies it. MAY wait for room, and MAY raise `Cancelled`.

        Raises ValueError when the frame's shape or dtype is not the one asked for.
        """

    def sound(self, samples: Sound, rate: int) -> None:
        """Hand over the whole clip's sound, `rate` samples a second: MAY be said once, before the last frame."""


class Checkpoints(Protocol):
    """Where an engine leaves checkpoints, so that the next attempt need not begin anew.

    Both calls may come from a callback deep inside of the denoising loop, as long as `Preempted` passes up
    through it. What is written has left the engine when `write` returns; sending it off costs the engine nothing.
    """

    def due(self) -> bool:
        """Whether a checkpoint is wanted now: one has not been made for a while, or the worker must stop.

        Raises `Cancelled`.
        """

    def save(self, step: int, write: Callable[[Path], None]) -> None:
        """Keep what `write` puts into the file it is given, as the state after `step`.

        Raises `Preempted` when the worker must stop: the next attempt goes on from here, or from the checkpoint
        before where `write` failed with an OSError.
        """


class Engine(Protocol):
    """One model family. What a model of it can do (modes, sizes, lengths, steps) is declared in the catalog."""

    def load(self, setup: EngineSetup) -> None:
        """Bring the model into memory. SHALL NOT go to the network. Raises `EngineError` with the reason."""

    def warm_up(self) -> None:
        """Do once whatever would make the first request slower than the next ones. Raises `EngineError`."""

    def generate(
        self, request: EngineRequest, frames: FrameSink, on_step: OnStep, checkpoints: Checkpoints
    ) -> Mapping[str, Any]:
        """Make the clip and return its recipe: whatever is needed to make the same clip again.

        SHALL refuse a mode it has not, a missing or unreadable picture and an unknown memory plan with an
        `EngineError` that names the rule and the value, before the first step. SHALL write exactly
        `request.frames` frames of `request.height` × `request.width`; SHALL call `on_step` at least once a step;
        SHALL let `Cancelled` and `Preempted` pass, doing no more work; SHALL give the same frames for the same
        request and seed; SHALL leave itself ready for the next request whatever happened.

        SHALL ask `checkpoints.due()` after every step but the last, and when it is, `save` what it takes to go
        on. With `request.checkpoint` it SHALL go on after that step, tell `on_step` of the later ones alone, and
        give the same frames as without. A checkpoint that it cannot go on from to the same frames (broken, of
        another version, or of a memory plan that reckons otherwise) SHALL be an `EngineError` with the code
        `checkpoint_unreadable`, raised before any frame is written: the caller then asks again without it.
        Running out of memory SHALL be one with the code `out_of_memory`, or a MemoryError; a GPU that does not
        work any more SHALL be one with the code `gpu_failed`. After either the process is started again.

        Raises `EngineError`.
        """

    def unload(self) -> None:
        """Give back the memory that `load` took, on the GPU and in main memory. MAY be loaded again."""


class Cancelled(Exception):
    """The job is no longer wanted: stop within this step. Raised by `on_step` or by the frame sink."""


class Preempted(Exception):
    """The worker must stop, and the job's state is saved: stop now. Raised by `Checkpoints.save`."""


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
