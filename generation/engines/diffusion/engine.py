"""A diffusers pipeline as an engine: a request in, the frames of a clip out, in numbered steps."""

from __future__ import annotations

import gc
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import diffusers
import torch
import transformers
from PIL import Image

from generation.engines import checkpoints as checkpoint_files
from generation.engines.base import Checkpoints, EngineError, EngineRequest, EngineSetup, FrameSink, OnStep
from generation.engines.diffusion import attention, compiling, memory
from generation.engines.diffusion.adapters import Adapters
from generation.engines.diffusion.denoising import Denoising, denoisers_of, read_state
from generation.engines.diffusion.loading import DTYPES
from generation.engines.diffusion.prompts import EncodedPrompts, Encoding
from generation.engines.diffusion.step_cache import StepCache
from generation.engines.pictures import framed_picture

SWITCHES = ("attention", "compile")
"""Options of all families: one of `attention.KERNELS` instead of the fastest, and whether blocks are compiled.
What came of them stands in the recipe, not what was wished."""
FRAMES_AT_ONCE = 16
"""Frames that are turned into bytes together: few enough to need little memory, enough to be quick."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """The request's stills, in just the size of the clip; None where the mode has none."""

    first: Image.Image | None = None
    last: Image.Image | None = None


class DiffusionEngine(ABC):
    """What is the same for every family: the order of the work, memory, checkpoints, recipe.

    A family is a subclass: it names its modes, loads its pipeline, encodes words and says what the pipeline is
    called with. `options` of setup and request are a family's own; each documents its own.
    """

    pipe: Any = None
    kernels: attention.Attention | None = None
    """Of attention: chosen once, when the weights are first loaded."""
    adapters: Any = None
    """The pipeline's `Adapters`."""
    compiled: bool = False
    name: ClassVar[str]
    version: ClassVar[str]
    """Goes up whenever the same request would give other frames."""
    modes: ClassVar[Mapping[str, frozenset[str]]] = {
        "t2v": frozenset(),
        "i2v": frozenset({"image"}),
        "flf2v": frozenset({"image", "last_image"}),
    }
    """What each mode needs, of all the modes that there are."""

    # --- What a family is -----------------------------------------------------------------------------------

    @abstractmethod
    def served_modes(self) -> frozenset[str]:
        """The modes that the loaded weights can do."""

    @abstractmethod
    def load_pipeline(self, setup: EngineSetup) -> Any:
        """The family's pipeline, in main memory, by `loading.load_pipeline`. Raises `EngineError`."""

    @abstractmethod
    def encode(self, request: EngineRequest, pictures: Pictures) -> Encoding:
        """The request's words as the pipeline takes them: arguments of its call. Kept by `words_key`."""

    @abstractmethod
    def arguments(self, request: EngineRequest, pictures: Pictures) -> dict[str, Any]:
        """All other arguments of the pipeline's call, but for `generator` and `output_type`."""

    def pipeline_for(self, request: EngineRequest) -> Any:
        """What serves the request: `pipe`, or another pipeline made of its parts (see `memory.pin_device`)."""
        return self.pipe

    def words_key(self, request: EngineRequest) -> tuple[Any, ...]:
        """What the encoding depends on."""
        return request.prompt, request.negative_prompt, self.guides(request)

    def guides(self, request: EngineRequest) -> bool:
        """Whether there is classifier-free guidance: a second, unconditional forward for each step."""
        return (request.guidance or 0.0) > 1.0

    def options(self, request: EngineRequest) -> dict[str, Any]:
        """The family's own options: the preset's over the catalog's."""
        return {**self.setup.options, **request.options}

    def frames_of(self, output: Any) -> torch.Tensor:
        """The clip in what the pipeline returned: frames × 3 × height × width, 0 to 1."""
        frames: torch.Tensor = output.frames[0]
        return frames

    def hand_over_sound(self, output: Any, sink: FrameSink) -> None:
        """Give the sink the clip's sound. Most families make none."""
        return

    # --- The engine contract --------------------------------------------------------------------------------

    def load(self, setup: EngineSetup) -> None:
        """Load the weights under the setup's memory plan. Raises `EngineError`."""
        memory.keep_in_one_piece()
        self.setup = setup
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._words = EncodedPrompts()
        self.kernels = None
        self._load_under(setup.memory_plan)

    def warm_up(self) -> None:
        """Serve the setup's usual request with a grey picture: kernels are chosen and compiled once."""
        request = self.setup.warm_up
        if request is None:
            return
        grey = Image.new("RGB", (request.width, request.height), "grey")
        needs = self.modes[request.mode]
        pictures = Pictures(grey if "image" in needs else None, grey if "last_image" in needs else None)
        with _told_as_engine_errors():
            self._serve(request, pictures, _Nowhere(), _unheard, _Nowhere())
        self._words.clear()

    def generate(
        self, request: EngineRequest, frames: FrameSink, on_step: OnStep, checkpoints: Checkpoints
    ) -> Mapping[str, Any]:
        """Make the clip. Raises `EngineError`."""
        pictures = self._pictures(request)
        plan = request.memory_plan or self.setup.memory_plan
        memory.plan_called(plan)
        with _told_as_engine_errors():
            if plan != self.memory_plan:
                self._load_under(plan)
            return self._serve(request, pictures, frames, on_step, checkpoints)

    def unload(self) -> None:
        """Let go of the pipeline."""
        self._let_go()
        self._words.clear()

    # --- One request ----------------------------------------------------------------------------------------

    def _serve(
        self,
        request: EngineRequest,
        pictures: Pictures,
        sink: FrameSink,
        on_step: OnStep,
        checkpoints: Checkpoints,
    ) -> dict[str, Any]:
        # 1. Adapters; and where an earlier attempt stopped.
        reckons_by = {**self._reckons_by(), "adapters": self.adapters.use(request.adapters)}
        facts = checkpoint_files.facts_of(request, self.name, self.version, **reckons_by, **_seen(request))
        begin_at = None
        if request.checkpoint:
            begin_at = read_state(checkpoint_files.read(request.checkpoint, facts), request.checkpoint.step)
        cache = StepCache(denoisers_of(self.pipe), request.step_cache) if request.step_cache else None

        # 2. Words.
        words = self._words.get(self.words_key(request), partial(self._encode, request, pictures), self.device)

        # 3. The denoising loop, and the decoder behind it. The noise is the CPU's: the same on every GPU.
        pipe = self.pipeline_for(request)
        generator = torch.Generator("cpu").manual_seed(request.seed)
        denoising = Denoising(
            pipe,
            generator,
            on_step,
            checkpoints,
            lambda step, state: checkpoints.save(step, lambda file: checkpoint_files.write(file, facts, state())),
            begin_at,
            cache,
        )
        kernels = self.kernels or attention.Attention()
        with torch.inference_mode(), denoising.watched(), kernels.preferred():
            output = pipe(**words, **self.arguments(request, pictures), generator=generator, output_type="pt")

        # 4. Frames.
        self.hand_over_sound(output, sink)
        for frame in _as_bytes(self.frames_of(output), request):
            sink.write(frame)
        return self._recipe(request, facts)

    def _encode(self, request: EngineRequest, pictures: Pictures) -> Encoding:
        with (
            torch.inference_mode(),
            memory.on_device(self.pipe, memory.plan_called(self.memory_plan), self.device),
        ):
            return self.encode(request, pictures)

    def _pictures(self, request: EngineRequest) -> Pictures:
        """Check the mode and read the stills. Raises `EngineError` (user)."""
        served = self.served_modes()
        if request.mode not in served:
            modes = " or ".join(sorted(served))
            raise EngineError("mode_unsupported", f"mode must be {modes}, but is {request.mode}", "user")
        return Pictures(
            *(
                self._picture(request, name) if name in self.modes[request.mode] else None
                for name in ("image", "last_image")
            )
        )

    def _picture(self, request: EngineRequest, name: str) -> Image.Image:
        file: Path | None = getattr(request, name)
        if file is None:
            raise EngineError(f"{name}_missing", f"mode {request.mode} needs {name}, but there is none", "user")
        return framed_picture(file, request.width, request.height)

    def _load_under(self, plan: str) -> None:
        """Bring the pipeline up under a plan, after letting go of one that is there."""
        self._let_go()
        self.pipe = self.load_pipeline(self.setup)
        arrangement = memory.plan_called(plan)
        denoisers = denoisers_of(self.pipe)
        if self.kernels is None:  # while the GPU is still empty
            self.kernels = attention.choose(self.device, denoisers[0], self.setup.options.get("attention", ""))
        self.quantised = memory.arrange(self.pipe, arrangement, self.device)
        self.attention_used = self.kernels.apply(denoisers)
        self.adapters = Adapters(self.pipe, DTYPES[self.setup.precision], plan)
        # Last: what is changed in a compiled block has it compiled anew.
        if self.setup.cache:
            # PyTorch does not tell its kernels of attention apart when it looks for what it has compiled.
            compiling.keep_compiled_code(self.setup.cache / self.attention_used)
        self.compiled = self._compiles(arrangement) and compiling.can_compile(self.device)
        if self.compiled:
            compiling.compile_blocks(denoisers)
        self.memory_plan = plan

    def _let_go(self) -> None:
        self.pipe = self.adapters = None
        if self.compiled:
            compiling.forget()
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _compiles(self, plan: memory.Plan) -> bool:
        """Whether blocks are to be compiled: not where Python has to run between their layers."""
        wanted: bool = self.setup.options.get("compile", True)
        return wanted and not plan.streams_blocks and self.quantised != "layerwise"

    # --- The recipe -----------------------------------------------------------------------------------------

    def _reckons_by(self) -> dict[str, Any]:
        """What decides about the picture beside the request: a checkpoint of anything else is of no use."""
        options = {name: value for name, value in self.setup.options.items() if name not in SWITCHES}
        return {
            "model": self.setup.model,
            "revision": self.setup.revision,
            "precision": self.setup.precision,
            "quantised": self.quantised,
            "attention": self.attention_used,
            "compiled": self.compiled,
            "setup": {"scheduler": self.setup.scheduler, "shift": self.setup.shift, **options},
            "torch": str(torch.__version__),
            "diffusers": diffusers.__version__,
        }

    def _recipe(self, request: EngineRequest, facts: Mapping[str, Any]) -> dict[str, Any]:
        """What made the clip, in plain JSON types."""
        weights = self.setup.weights
        return {
            **facts,
            "memory_plan": self.memory_plan,
            "size": [request.width, request.height],
            "weights": weights.name if weights else "",
            "gpu": torch.cuda.get_device_name() if self.device.type == "cuda" else "",
            "transformers": transformers.__version__,
        }


def _seen(request: EngineRequest) -> dict[str, Any]:
    """The stills, by what is in them."""
    return {
        f"{name}_sha256": hashlib.sha256(file.read_bytes()).hexdigest()
        for name in ("image", "last_image")
        if (file := getattr(request, name)) is not None
    }


def _as_bytes(frames: torch.Tensor, request: EngineRequest) -> Iterator[Any]:
    """The frames one by one, uint8, height × width × 3, each valid until the next one is asked for.

    Raises `EngineError` for what is no picture.
    """
    if len(frames) < request.frames:
        raise EngineError(
            "frames_missing", f"the pipeline was to make {request.frames} frames, but made {len(frames)}", "ours"
        )
    held = None
    for start in range(0, request.frames, FRAMES_AT_ONCE):
        some = frames[start : min(start + FRAMES_AT_ONCE, request.frames)].float()
        if not bool(torch.isfinite(some).all()):
            raise EngineError("not_finite", "the model made values that are no numbers", "ours")
        whole = (some * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
        if held is None:  # the same memory for all: new memory takes longer to get than frames to copy
            held = torch.empty_like(whole, device="cpu", pin_memory=whole.is_cuda)
        yield from held[: len(whole)].copy_(whole).numpy()


@contextmanager
def _told_as_engine_errors() -> Iterator[None]:
    """Say of what torch raises whose doing it is."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise EngineError("out_of_memory", f"the GPU's memory did not suffice: {error}", "machine") from error
    except torch.AcceleratorError as error:
        raise EngineError("gpu_failed", f"the GPU failed: {error}", "machine") from error


class _Nowhere:
    """Where the frames of the warm-up go."""

    def write(self, frame: Any) -> None: ...

    def sound(self, samples: Any, rate: int) -> None: ...

    def due(self) -> bool:
        return False

    def save(self, step: int, write: Any) -> None: ...


def _unheard(done: int, total: int) -> None: ...
