"""What is encoded and into which form: sizes, rates, lengths, and what a form cannot be. Opens no file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from generation.errors import ImpossibleForm, one_of
from generation.outputs.encoding.profiles import PROFILES, Preset, Profile

MIN_SIDE, MIN_FPS, MAX_FPS = 16, 1, 60
"""Pixels, and frames a second that a form may ask for."""
BOOMERANG, CROSSFADE = "boomerang", "crossfade"
LOOPS = (BOOMERANG, CROSSFADE)
MIN_LOOP_FRAMES = 8
CROSSFADE_SECONDS = 0.5
"""So long do the end and the beginning of a cross-faded loop overlap: it is that much shorter than the clip."""


@dataclass(frozen=True, slots=True)
class Source:
    """Raw frames: uint8, height × width × 3, RGB, as they come; `fps` is frames a second."""

    width: int
    height: int
    fps: int
    frames: int

    @property
    def seconds(self) -> float:
        """How long they last."""
        return self.frames / self.fps


@dataclass(frozen=True, slots=True)
class Form:
    """How a clip is delivered. None and "" leave as it is what the clip has."""

    format: str = "mp4"
    quality: str = "standard"
    fps: int | None = None
    width: int | None = None
    loop: str = ""


MASTER = Form()
"""What every other form can be made from: the clip as it was made, in a quality that bears being encoded again."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """An RGBA PNG, its opacity baked in, that is laid on the frames once they have the form's size.

    `x` and `y` are ffmpeg's overlay expressions: of main_w, main_h, overlay_w, overlay_h, and t in seconds of the
    clip that is delivered.
    """

    picture: Path
    x: str
    y: str


@dataclass(frozen=True, slots=True)
class Target:
    """A file that is to be written, and how."""

    path: Path
    form: Form
    overlays: tuple[Overlay, ...] = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """What comes of a source in some form: pixels, frames a second, frames."""

    width: int
    height: int
    fps: int
    frames: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.frames / self.fps


def shape_of(source: Source, form: Form) -> Shape:
    """The size, rate and length of the source in that form. Raises `ImpossibleForm`."""
    profile, preset = profile_of(form), preset_of(form)
    width, height = _size(source, form, profile, preset)
    fps = _rate(source, form, profile, preset)
    return Shape(width, height, fps, max(1, _half_up(loop_frames(source, form) * fps, source.fps)))


def profile_of(form: Form) -> Profile:
    """The form's format. Raises `ImpossibleForm`."""
    if form.format not in PROFILES:
        raise ImpossibleForm(one_of("format", PROFILES, form.format), field="format")
    return PROFILES[form.format]


def preset_of(form: Form) -> Preset:
    """The form's quality. Raises `ImpossibleForm`."""
    presets = profile_of(form).presets
    if form.quality not in presets:
        raise ImpossibleForm(one_of("quality", presets, form.quality), field="quality")
    return presets[form.quality]


def loop_frames(source: Source, form: Form) -> int:
    """How many frames the clip has once it is a loop, at the source's rate. Raises `ImpossibleForm`."""
    if not form.loop:
        return source.frames
    if form.loop not in LOOPS:
        raise ImpossibleForm(one_of("loop", LOOPS, form.loop), field="loop")
    if source.frames < MIN_LOOP_FRAMES:
        raise ImpossibleForm(
            f"a loop needs at least {MIN_LOOP_FRAMES} frames, but the clip has {source.frames}", field="loop"
        )
    return 2 * source.frames - 2 if form.loop == BOOMERANG else source.frames - crossfade_frames(source)


def crossfade_frames(source: Source) -> int:
    """In how many frames the end of a cross-faded loop becomes its beginning."""
    return max(2, min(_half_up(CROSSFADE_SECONDS * source.fps, 1), source.frames // 4))


def carries_sound(form: Form) -> bool:
    """Whether a clip in this form can have sound: pictures cannot, and what runs backwards makes none."""
    return profile_of(form).sound is not None and form.loop != BOOMERANG


def keeps_up(source: Source, form: Form) -> bool:
    """Whether it is encoded about as fast as frames are handed over, so that nobody has to wait for it."""
    rises = form.fps is not None and form.fps > source.fps
    return preset_of(form).keeps_up and not rises and form.loop != BOOMERANG


def serves_as_master(form: Form) -> bool:
    """Whether a clip in this form, without a mark on it, is as good to make other forms from as a master."""
    plain = form.fps is None and form.width is None and not form.loop
    return plain and form.format == MASTER.format and form.quality != "small"


def _size(source: Source, form: Form, profile: Profile, preset: Preset) -> tuple[int, int]:
    step = 2 if profile.is_even else 1
    if form.width is None:
        longest = max(source.width, source.height)
        share = min(1.0, preset.fits / longest) if preset.fits else 1.0
        if share < 1:
            return _stepped(source.width * share, step), _stepped(source.height * share, step)
        width, height = source.width // step * step, source.height // step * step
    else:
        width = form.width
        if not MIN_SIDE <= width <= source.width:
            raise ImpossibleForm(
                f"width must be between {MIN_SIDE} and the clip's own {source.width}, but is {width}",
                field="width",
            )
        if width % step:
            raise ImpossibleForm(f"width must be divisible by 2 in {profile.name}, but is {width}", field="width")
        height = _stepped(source.height * width / source.width, step)
    for field, side in (("width", width), ("height", height)):
        if not profile.min_side <= side <= profile.max_side:
            rule = f"{field} must be between {profile.min_side} and {profile.max_side} in {profile.name}"
            raise ImpossibleForm(f"{rule}, but is {side}", field="width")
    return width, height


def _rate(source: Source, form: Form, profile: Profile, preset: Preset) -> int:
    if form.fps is None:
        return min(source.fps, preset.max_fps or source.fps, profile.max_fps)
    most = min(profile.max_fps, MAX_FPS)
    if not MIN_FPS <= form.fps <= most:
        raise ImpossibleForm(
            f"fps must be between {MIN_FPS} and {most} in {profile.name}, but is {form.fps}", field="fps"
        )
    return form.fps


def _stepped(side: float, step: int) -> int:
    return max(step, int(side / step + 0.5) * step)


def _half_up(value: float, divisor: int) -> int:
    return int(value / divisor + 0.5)
