"""The shape of a catalog file: one TOML a model, every value checked, no key unknown.

Units are in the names or the comments: sizes in pixels, lengths in seconds, memory in GiB (2³⁰ bytes), prices
in credits.
"""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction
from math import ceil
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mutoscope.tables import Table

Positive = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0)]


class Mode(StrEnum):
    """What a clip is made from."""

    IMAGE_TO_VIDEO = "i2v"
    TEXT_TO_VIDEO = "t2v"
    FIRST_LAST_FRAME = "flf2v"
    AUDIO_TO_AVATAR = "a2v"
    VIDEO_TO_AVATAR = "v2v"


class Precision(StrEnum):
    """What the weights are held in."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP8 = "fp8"


class Size(Table):
    """A size preset of the output."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    width: Positive
    height: Positive

    @property
    def ratio(self) -> str:
        """The aspect ratio as people write it, such as 16:9."""
        ratio = Fraction(self.width, self.height).limit_denominator(32)
        return f"{ratio.numerator}:{ratio.denominator}"


class Frames(Table):
    """Which clips are legal: frames = multiple × k + plus, at one of the given frame rates."""

    multiple: Positive = 1
    plus: Annotated[int, Field(ge=0)] = 0
    fps: Annotated[list[Positive], Field(min_length=1)]
    min_seconds: PositiveFloat
    max_seconds: PositiveFloat
    default_seconds: PositiveFloat

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.min_seconds <= self.default_seconds <= self.max_seconds:
            raise ValueError(
                "min_seconds ≤ default_seconds ≤ max_seconds must hold, but they are "
                f"{self.min_seconds}, {self.default_seconds} and {self.max_seconds}"
            )
        if self.plus >= self.multiple:
            raise ValueError(f"plus must be below multiple ({self.multiple}), but is {self.plus}")
        return self

    def count(self, seconds: float, fps: int) -> int:
        """The smallest legal number of frames that lasts at least `seconds` at `fps`."""
        wanted = ceil(round(seconds * fps, 6))  # 0.1 s at 30 fps is 3.0000000000000004, which is 3
        steps = -(-(wanted - self.plus) // self.multiple)
        return max(steps, 1 if self.plus == 0 else 0) * self.multiple + self.plus


class Sampling(Table):
    """Denoising: steps and guidance. Models that do not denoise have no such table."""

    steps: Positive
    min_steps: Positive
    max_steps: Positive
    guidance: Annotated[float, Field(ge=0)]
    negative_prompt: str = ""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.min_steps <= self.steps <= self.max_steps:
            raise ValueError(
                f"min_steps ≤ steps ≤ max_steps must hold, but they are {self.min_steps}, {self.steps} "
                f"and {self.max_steps}"
            )
        return self


class Prompt(Table):
    """What the model does with words."""

    use: Literal["required", "optional", "ignored"]
    max_characters: Positive = 2000
    hint: str = ""


class Memory(Table):
    """GPU memory that one size needs at one precision."""

    size: str
    precision: Precision
    gib: PositiveFloat
    measured: bool = False


class Weights(Table):
    """Where the weights come from, pinned."""

    huggingface: str
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    modelscope: str = ""
    gib: PositiveFloat


class Licence(Table):
    """Under which conditions the model may be used."""

    name: Annotated[str, Field(min_length=1)]
    url: str = ""
    commercial_use: bool
    must_accept: bool = False
    excluded_territories: list[Annotated[str, Field(pattern=r"^[A-Z]{2}$")]] = []


class Speed(Table):
    """Estimates used until this installation has measured its own."""

    load_seconds: Annotated[float, Field(ge=0)]
    stall_seconds: PositiveFloat
    """No progress for this long means that the engine hangs."""
    seconds_per_step: Annotated[float, Field(ge=0)]


class Supervision(Table):
    """How the engine process is watched over."""

    memory_growth_mib: Positive = 2048
    """Grown by so much, on the GPU or in main memory, since its first job: started again between two jobs."""


class Price(Table):
    """What a finished second costs."""

    credits_per_second: Annotated[int, Field(ge=0)]


class Model(Table):
    """One model that jobs can name."""

    slug: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$", max_length=40)]
    name: Annotated[str, Field(min_length=1)]
    summary: Annotated[str, Field(min_length=1)]
    engine: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]
    """Dotted path of the engine's class, as `package.module:Class`; imported in the engine process alone."""
    diffusion: bool
    modes: Annotated[list[Mode], Field(min_length=1)]
    prompt: Prompt
    frames: Frames
    sizes: Annotated[list[Size], Field(min_length=1)]
    default_size: str
    sampling: Sampling | None = None
    memory: list[Memory] = []
    memory_plans: list[Annotated[str, Field(pattern=r"^[a-z0-9-]{1,20}$")]] = []
    """From the usual plan to the lightest; a job that ran out of memory is tried once more with the next one."""
    weights: Weights | None = None
    licence: Licence
    speed: Speed
    supervision: Supervision = Supervision()
    price: Price

    @model_validator(mode="after")
    def _refers_to_its_own_sizes(self) -> Self:
        names = [size.name for size in self.sizes]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"sizes must have different names, but {', '.join(doubled)} stands twice")
        for name in [self.default_size, *(need.size for need in self.memory)]:
            if name not in names:
                raise ValueError(f"a size must be one of {', '.join(names)}, but is {name!r}")
        return self

    @model_validator(mode="after")
    def _diffusion_has_its_tables(self) -> Self:
        if self.diffusion and not (self.weights and self.memory):
            raise ValueError("a diffusion model needs weights and memory tables")
        return self

    def size(self, name: str) -> Size | None:
        """The size preset called `name`."""
        return next((size for size in self.sizes if size.name == name), None)
