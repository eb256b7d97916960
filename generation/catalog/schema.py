"""The shape of a catalog file: one TOML a model, every value checked, no key unknown.

Units are in the names or the comments: sizes in pixels, lengths in seconds, memory in GiB (2³⁰ bytes), prices
in credits.
"""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction
from math import ceil
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from billing.tiers import Tier
from generation.catalog import territories
from generation.outputs.quality.judgement import PROBLEMS
from mutoscope.tables import Table

Positive = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,39}$")]
PlanName = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,20}$")]
Revision = Annotated[str, Field(pattern=r"^([0-9a-f]{40})?$")]
"""A commit of a hub's repository. Empty: `manage.py models pull` pins the newest, and keeps to it."""


def _known(code: str) -> str:
    if code not in territories.NAMES and code not in territories.GROUPS:
        raise ValueError("must be a country of ISO 3166-1 (the United Kingdom is GB), or EU for all of the Union")
    return code


def _problem(code: str) -> str:
    if code not in PROBLEMS:
        raise ValueError(f"must be one of {', '.join(PROBLEMS)}")
    return code


ProblemCode = Annotated[str, AfterValidator(_problem)]
Territory = Annotated[str, Field(pattern=r"^[A-Z]{2}$"), AfterValidator(_known)]
"""A country's ISO 3166-1 alpha-2 code; or EU, which stands for every country of the European Union."""


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
    FP16 = "fp16"
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


class Canvas(Table):
    """Which pictures an engine can make: width and height are multiples of `multiple` pixels."""

    multiple: Positive = 1

    def around(self, width: int, height: int) -> tuple[int, int]:
        """The smallest picture that an engine can make around one of this size: what is left over is cropped."""
        return -(-width // self.multiple) * self.multiple, -(-height // self.multiple) * self.multiple


class Frames(Table):
    """Which clips are legal: frames = multiple × k + plus, at one of the given frame rates.

    A clip is as long as was asked for: the engine makes the next legal number of frames, and what is left over is
    trimmed.
    """

    multiple: Positive = 1
    plus: Annotated[int, Field(ge=0)] = 0
    fewest: Positive = 1
    """An engine makes no fewer frames than this; clips that ask for fewer are trimmed."""
    most: Positive | None = None
    """An engine makes no more frames than this: the longest clip must not ask for more. None is no limit."""
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

    @model_validator(mode="after")
    def _longest_can_be_made(self) -> Self:
        fastest = max(self.fps)
        needed = self.count(self.max_seconds, fastest)
        if self.most is not None and needed > self.most:
            raise ValueError(
                f"max_seconds must lead to at most {self.most} frames (most), but {self.max_seconds:g} s at "
                f"{fastest} fps are {needed}"
            )
        return self

    def asked(self, seconds: float, fps: int) -> int:
        """The number of frames that lasts at least `seconds` at `fps`."""
        return max(1, ceil(round(seconds * fps, 6)))  # 0.1 s at 30 fps is 3.0000000000000004, which is 3

    def count(self, seconds: float, fps: int) -> int:
        """The smallest legal number of frames that lasts at least `seconds` at `fps`."""
        wanted = max(self.asked(seconds, fps), self.fewest)
        steps = -(-(wanted - self.plus) // self.multiple)
        return max(steps, 1 if self.plus == 0 else 0) * self.multiple + self.plus


class Sampling(Table):
    """Denoising: steps, guidance and the schedule. Models that do not denoise have no such table."""

    steps: Positive
    min_steps: Positive
    max_steps: Positive
    guidance: Annotated[float, Field(ge=0)]
    scheduler: str = ""
    """The class in diffusers; empty is the one that the weights come with."""
    shift: PositiveFloat | None = None
    """Of the schedule, towards more noise; None is what the weights come with."""
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
    """GPU memory that one size needs under one memory plan, and what the denoiser's weights are held in then."""

    size: str
    plan: PlanName
    precision: Precision
    gib: PositiveFloat
    measured: bool = False


class Preset(Table):
    """A named way to trade time for quality; `standard` is the model as its authors publish it."""

    name: Literal["draft", "standard", "high"]
    changes: Annotated[str, Field(min_length=1)]
    """What it changes in the picture and in the time it takes, in a sentence for people."""
    steps: Positive | None = None
    guidance: Annotated[float, Field(ge=0)] | None = None
    step_cache: Literal["", "light", "balanced", "strong"] = ""
    """Steps that hardly differ from the one before are not computed anew; how boldly."""
    adapters: list[Name] = []
    """Of the model's own `adapters`."""
    options: dict[str, Any] = {}
    """Over the model's own `options`."""


class Adapter(Table):
    """A LoRA that a preset needs, pulled with the weights. `low_noise_file` is for the second expert, if any."""

    name: Name
    huggingface: str
    revision: Revision = ""
    file: Annotated[str, Field(min_length=1)]
    low_noise_file: str = ""
    strength: float = 1.0
    gib: PositiveFloat


class SingleFile(Table):
    """One file that takes the place of a part of the pipeline, from a repository of its own."""

    part: Literal["transformer", "vae"]
    huggingface: str
    revision: Revision = ""
    file: Annotated[str, Field(min_length=1)]


class Weights(Table):
    """Where the weights come from, pinned: hubs, or a local folder in the layout of diffusers."""

    huggingface: str = ""
    revision: Revision = ""
    modelscope: str = ""
    modelscope_revision: str = ""
    folder: str = ""
    """A folder on each machine that serves the model: nothing is pulled then."""
    files: list[str] = []
    """Patterns of what is needed from the repository; empty is all."""
    single_file: SingleFile | None = None
    gib: PositiveFloat

    @model_validator(mode="after")
    def _comes_from_somewhere(self) -> Self:
        if not (self.huggingface or self.modelscope or self.folder):
            raise ValueError("weights need one of huggingface, modelscope or folder")
        return self


class Licence(Table):
    """Under which conditions the model may be used."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    version: Annotated[str, Field(max_length=40)] = ""
    """A number or a date: a new one asks operators who have to accept it to do so anew."""
    url: str = ""
    commercial_use: bool
    conditions: str = ""
    """What an operator has to know before accepting, in a few sentences."""
    must_accept: bool = False
    """The model runs only while an operator's acceptance stands: see `generation.licences`."""
    excluded_territories: list[Territory] = []
    """Where the licence does not hold: nobody who operates there can accept it."""

    def excludes(self, country: str) -> bool:
        """Whether the licence does not hold in the country (ISO 3166-1 alpha-2)."""
        return country in territories.expanded(self.excluded_territories)


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


class Quality(Table):
    """How the model's clips are judged."""

    ignore: list[ProblemCode] = []
    """What is no problem in its clips, such as `unlike_first_picture` where it paints the picture anew."""


class Price(Table):
    """What a finished second costs: see `generation.prices` for how the factors come together."""

    credits_per_second: Annotated[int, Field(ge=0)]
    """Of the default size, with the standard preset."""
    sizes: dict[str, PositiveFloat] = {}
    """Factors by size; a size that is not named costs by its pixels."""
    presets: dict[str, PositiveFloat] = {}
    """Factors by preset; a preset that is not named costs by its steps."""
    tiers: dict[Tier, PositiveFloat] = {Tier.BATCH: 0.6}
    """Factors by tier; a tier that is not named costs the full price."""


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
    needs_portrait: bool = False
    """The picture must show one face, large, straight and evenly lit: see `safety/portrait/rules.py`."""
    frames: Frames
    canvas: Canvas = Canvas()
    sizes: Annotated[list[Size], Field(min_length=1)]
    default_size: str
    sampling: Sampling | None = None
    presets: list[Preset] = []
    """What jobs may choose from; the default is `standard`."""
    adapters: list[Adapter] = []
    options: dict[str, Any] = {}
    """What only this family of engines knows of: see the engine's file."""
    memory: list[Memory] = []
    memory_plans: list[PlanName] = []
    """From the heaviest to the lightest; a job that ran out of memory is tried once more with the lightest."""
    lora: bool = False
    """Whether jobs may bring adapters that the operators have registered."""
    weights: Weights | None = None
    licence: Licence
    speed: Speed
    supervision: Supervision = Supervision()
    quality: Quality = Quality()
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
    def _portraits_are_pictures(self) -> Self:
        if self.needs_portrait and self.modes == [Mode.TEXT_TO_VIDEO]:
            raise ValueError("needs_portrait must be false in a model that takes no picture, but is true")
        return self

    @model_validator(mode="after")
    def _diffusion_has_its_tables(self) -> Self:
        if self.diffusion and not (self.weights and self.memory and self.sampling and self.presets):
            raise ValueError("a diffusion model needs weights, memory, sampling and presets")
        unknown = sorted({need.plan for need in self.memory} - set(self.memory_plans))
        if unknown:
            raise ValueError(f"memory must name plans of memory_plans, but names {', '.join(unknown)}")
        return self

    @model_validator(mode="after")
    def _presets_fit(self) -> Self:
        names = [preset.name for preset in self.presets]
        if names and ("standard" not in names or len(set(names)) < len(names)):
            raise ValueError(f"presets must have standard among them, each once, but are {', '.join(names)}")
        there = {adapter.name for adapter in self.adapters}
        for preset in self.presets:
            unknown = sorted(set(preset.adapters) - there)
            if unknown:
                missing = ", ".join(unknown)
                raise ValueError(f"the preset {preset.name} needs adapters that are not there: {missing}")
            steps, rules = preset.steps, self.sampling
            if steps and rules and not rules.min_steps <= steps <= rules.max_steps:
                raise ValueError(
                    f"the preset {preset.name} must have {rules.min_steps} to {rules.max_steps} steps, "
                    f"but has {steps}"
                )
        return self

    @model_validator(mode="after")
    def _prices_what_there_is(self) -> Self:
        sizes, presets = [size.name for size in self.sizes], [preset.name for preset in self.presets]
        for table, there, named in (("sizes", sizes, self.price.sizes), ("presets", presets, self.price.presets)):
            unknown = sorted(set(named) - set(there))
            if unknown:
                raise ValueError(f"price.{table} must be of {', '.join(there)}, but names {', '.join(unknown)}")
        return self

    def size(self, name: str) -> Size | None:
        """The size preset called `name`."""
        return next((size for size in self.sizes if size.name == name), None)

    def preset(self, name: str) -> Preset | None:
        """The preset called `name`."""
        return next((preset for preset in self.presets if preset.name == name), None)

    def precision(self, plan: str) -> str:
        """What the denoiser's weights are held in under a memory plan; empty where the catalog does not say."""
        return next((str(need.precision) for need in self.memory if need.plan == plan), "")

    def needs(self, plan: str, size: str) -> float | None:
        """GiB of GPU memory that a size needs under a plan; None where the catalog does not say."""
        return next((need.gib for need in self.memory if (need.plan, need.size) == (plan, size)), None)
