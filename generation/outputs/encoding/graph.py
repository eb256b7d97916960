"""From raw frames to several files in one ffmpeg run: in which order they are fed, and what becomes of them.

ffmpeg holds few of them. A palette needs all frames before the first can be drawn with it, and a boomerang runs
backwards: rather than have ffmpeg keep every frame, it is fed those frames once more (`Reel`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ffmpeg

from generation.outputs.encoding.forms import (
    BOOMERANG,
    CROSSFADE,
    Form,
    Overlay,
    Shape,
    Source,
    Target,
    carries_sound,
    crossfade_frames,
    loop_frames,
    preset_of,
    profile_of,
    shape_of,
)
from generation.outputs.encoding.hardware import Encoder
from generation.outputs.encoding.profiles import Profile

RUN_ON = 3
"""Frames that motion interpolation looks ahead."""
SCALING = "bicubic+accurate_rnd+full_chroma_int+bitexact"
OVERLAY_FORMATS = {"yuv420p": "yuv420", "yuv422p10le": "yuv422p10", "yuv444p10le": "yuv444p10"}
"""How the overlay filter calls the pixel formats that it draws on; all else is RGB."""


@dataclass(frozen=True, slots=True)
class Reel:
    """The order in which frames are fed: all of them; all once more for GIFs; then backwards for boomerangs."""

    frames: int
    again: bool
    back: bool

    @classmethod
    def of(cls, source: Source, targets: Sequence[Target]) -> Reel:
        """What those targets need."""
        forms = [target.form for target in targets]
        return cls(
            source.frames,
            again=any(form.format == "gif" for form in forms),
            back=any(form.loop == BOOMERANG for form in forms),
        )

    @property
    def replayed(self) -> list[int]:
        """The frames that are fed after the clip itself."""
        again = [*range(self.frames)] if self.again else []
        back = [*range(self.frames - 2, 0, -1), *range(RUN_ON)] if self.back else []
        return again + back

    def start_of(self, form: Form) -> int:
        """Where the frames of a clip in that form begin."""
        return self.frames if self.again and (form.format == "gif" or form.loop == BOOMERANG) else 0


def outputs(
    video: Any,
    sound: Any,
    source: Source,
    targets: Sequence[Target],
    encoders: Sequence[Encoder],
    names: Sequence[str],
) -> Any:
    """The graph that writes all targets, each under its name, from raw frames and the clip's sound, if any."""
    reel, marks = Reel.of(source, targets), Marks(_drawings(targets))
    pictures = _legs(video, "split", len(targets))
    sounding = [target for target in targets if sound is not None and carries_sound(target.form)]
    sounds = dict(zip(sounding, _legs(sound, "asplit", len(sounding)), strict=True)) if sounding else {}
    files = []
    for target, encoder, name, leg in zip(targets, encoders, names, pictures, strict=True):
        profile = profile_of(target.form)
        streams = [_for_encoder(_pictures(leg, source, target, reel, marks), profile, encoder)]
        options = {**profile.options, **encoder.options, "vcodec": encoder.name, "format": profile.muxer}
        if encoder.pix_fmt:
            options.setdefault("pix_fmt", encoder.pix_fmt)
        if profile.sound and target in sounds:
            streams.append(looped_sound(sounds[target], source, target.form))
            options |= {**profile.sound.options, "acodec": profile.sound.encoder}
        files.append(ffmpeg.output(*streams, name, **options))
    return ffmpeg.merge_outputs(*files)


def pix_fmt_of(form: Form) -> str:
    """How the pixels of a clip in that form are kept."""
    return preset_of(form).pix_fmt or profile_of(form).pix_fmt


def looped_sound(sound: Any, source: Source, form: Form) -> Any:
    """Sound as long as the source, treated as the form treats its pictures."""
    sound = sound.filter("apad", whole_dur=source.seconds).filter("atrim", end=source.seconds)
    if form.loop != CROSSFADE:
        return sound
    overlap = crossfade_frames(source) / source.fps
    first, second = _legs(sound, "asplit", 2)
    rest = first.filter("atrim", start=overlap).filter("asetpts", "PTS-STARTPTS")
    beginning = second.filter("atrim", end=overlap)
    return ffmpeg.filter([rest, beginning], "acrossfade", d=overlap, c1="tri", c2="tri")


def _legs(stream: Any, splitter: str, count: int) -> list[Any]:
    """The same stream so many times."""
    split = stream.filter_multi_output(splitter, count)
    return [split[index] for index in range(count)]


class Marks:
    """The pictures that are laid on, each read once and handed out as often as it is drawn."""

    def __init__(self, drawn: Iterable[Overlay]) -> None:
        counts = Counter(overlay.picture for overlay in drawn)
        self._left = {
            path: _legs(ffmpeg.input(f"file:{path.resolve()}"), "split", count) for path, count in counts.items()
        }

    def take(self, overlay: Overlay) -> Any:
        """Its picture, for drawing it once."""
        return self._left[overlay.picture].pop()


def _drawings(targets: Sequence[Target]) -> Iterator[Overlay]:
    """What is drawn, as often as it is: on GIFs twice, for the palette must see it, too."""
    for target in targets:
        yield from target.overlays * (2 if target.form.format == "gif" else 1)


def _pictures(video: Any, source: Source, target: Target, reel: Reel, marks: Marks) -> Any:
    """What a target shows, in its pixel format, from the frames as they are fed."""
    form, shape = target.form, shape_of(source, target.form)
    if form.format == "gif":
        first, second = _legs(_sized(video, source, form, shape), "split", 2)
        seen = _drawn(_piece(first, 0, source.frames, source.fps), target, marks)
        palette = seen.filter("palettegen", stats_mode="diff" if form.quality == "small" else "full")
        shown = _drawn(_moved(second, source, form, shape, reel), target, marks)
        dither = {"dither": "sierra2_4a"} if form.quality == "best" else {"dither": "bayer", "bayer_scale": 3}
        return ffmpeg.filter([shown, palette], "paletteuse", diff_mode="rectangle", **dither)
    return _drawn(_moved(_sized(video, source, form, shape), source, form, shape, reel), target, marks)


def _sized(video: Any, source: Source, form: Form, shape: Shape) -> Any:
    """Scaled and in the form's colours, before anything is held or computed from it."""
    if (
        form.width is None
        and not preset_of(form).fits
        and (shape.width, shape.height) != (source.width, source.height)
    ):
        video = video.filter("crop", shape.width, shape.height, 0, 0)  # a row or column too many
    colours = (
        {"out_color_matrix": "bt709", "out_range": "tv"} if profile_of(form).is_video else {"out_range": "pc"}
    )
    return video.filter("scale", shape.width, shape.height, flags=SCALING, **colours).filter(
        "format", pix_fmt_of(form)
    )


def _moved(video: Any, source: Source, form: Form, shape: Shape, reel: Reel) -> Any:
    """Looped, and at the form's rate."""
    start, length = reel.start_of(form), loop_frames(source, form)
    rises = shape.fps > source.fps
    if form.loop == CROSSFADE:
        video = _crossfaded(video, source, start, RUN_ON if rises else 0)
    else:
        video = _piece(video, start, start + length + (RUN_ON if rises and form.loop else 0), source.fps)
    if shape.fps == source.fps:
        return video
    # At its end a loop goes on as it begins; other clips stand still for what looks ahead.
    video = _even(video, length, shape) if form.loop else video.filter("tpad", stop=source.fps, stop_mode="clone")
    if rises:
        video = video.filter(
            "minterpolate", fps=shape.fps, mi_mode="mci", mc_mode="aobmc", me_mode="bidir", vsbmc=1
        )
    else:
        video = video.filter("fps", shape.fps, round="up")
    return _piece(video, 0, shape.frames, shape.fps)


def _even(video: Any, frames: int, shape: Shape) -> Any:
    """A loop's frames spread evenly over the frames that it will have: else its seam would be a longer step."""
    return video.filter("settb", f"1/{shape.fps * frames}").filter("setpts", f"N*{shape.frames}")


def _crossfaded(video: Any, source: Source, start: int, run_on: int) -> Any:
    """The clip from where the overlap ends to where its end has become that beginning, whose frames are held."""
    overlap = crossfade_frames(source)
    first, second = _legs(video, "split", 2)
    rest = _piece(first, start + overlap, start + source.frames, source.fps)
    beginning = _piece(second, start, start + overlap + run_on, source.fps)
    offset = (source.frames - 2 * overlap) / source.fps
    faded = ffmpeg.filter(
        [rest, beginning], "xfade", transition="fade", duration=overlap / source.fps, offset=round(offset, 6)
    )
    return _piece(faded, 0, source.frames - overlap + run_on, source.fps)


def _piece(video: Any, start: int, end: int, fps: int) -> Any:
    """Frames start to end, from time 0. The rate is said anew: filters that move times forget it."""
    piece = video.filter("trim", start_frame=start, end_frame=end)
    return piece.filter("setpts", "PTS-STARTPTS").filter("fps", fps)


def _drawn(video: Any, target: Target, marks: Marks) -> Any:
    """With what is laid on it, in order."""
    for overlay in target.overlays:
        video = laid_on(video, overlay, marks.take(overlay), pix_fmt_of(target.form))
    return video


def laid_on(video: Any, overlay: Overlay, picture: Any, pixels: str) -> Any:
    """The video, whose pixels are of that format, with the overlay's picture on it."""
    if pixels in OVERLAY_FORMATS:
        picture = picture.filter("scale", out_color_matrix="bt709", out_range="tv", flags=SCALING)
        picture = picture.filter("format", pixels.replace("yuv", "yuva"))
    drawing = OVERLAY_FORMATS.get(pixels, "rgb")
    laid = ffmpeg.filter(
        [video, picture], "overlay", x=overlay.x, y=overlay.y, format=drawing, eof_action="repeat"
    )
    return laid.filter("format", pixels)


def _for_encoder(video: Any, profile: Profile, encoder: Encoder) -> Any:
    if profile.is_video:
        video = video.filter(
            "setparams", color_primaries="bt709", color_trc="bt709", colorspace="bt709", range="tv"
        )
    for name, *arguments in encoder.filters:
        video = video.filter(name, *arguments)
    return video
