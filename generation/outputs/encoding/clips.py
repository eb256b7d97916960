"""Clips in any form: from frames that are still being made, and from clips that are finished."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import ffmpeg

from generation.engines.base import EngineError
from generation.errors import ImpossibleForm
from generation.outputs.encoding import graph, hardware
from generation.outputs.encoding.decoding import Decoded, decode
from generation.outputs.encoding.feeding import Feed, over, straight
from generation.outputs.encoding.forms import Form, Source, Target, carries_sound, keeps_up, profile_of, shape_of
from generation.outputs.encoding.hardware import Encoder
from generation.outputs.encoding.running import Archives, EncoderFailed, failed, run
from generation.outputs.encoding.spool import Spool

if TYPE_CHECKING:
    from typing_extensions import Buffer

RGB = "rgb24"
ENVIRONMENT = {"SVT_LOG": "1"}
"""Its encoder writes to stderr what it was told, whatever ffmpeg's log level is."""


def encode(frames: Iterable[Buffer], source: Source, targets: Sequence[Target]) -> None:
    """Encode RGB frames (uint8, height × width × 3 each) into all targets, in one ffmpeg run, as they come.

    Where a form needs frames twice, is slower than they are made, or goes to hardware that may refuse, they are
    kept on disk beside the first target meanwhile: width × height × 3 bytes a frame.

    Raises `EngineError`: `encode_failed` (ours) when ffmpeg fails; `frames_wrong` (ours) when they are not as
    many, or as large, as the source says; `spool_full` (machine) when the disk is; `form_impossible` (user) for
    a form that the clip cannot have. And whatever `frames` raises, after ffmpeg is gone.
    """
    _check(source, targets)
    waits = not all(keeps_up(source, target.form) for target in targets)
    _encode(frames, source, targets, pixels=RGB, frame_bytes=source.width * source.height * 3, waits=waits)


def convert(clip: Path, targets: Sequence[Target]) -> None:
    """Encode a finished clip into all targets, its sound too where the form has sound.

    A clip without a steady whole number of frames a second is given one. Raises `EngineError` as `encode` does,
    and `clip_broken` (ours) for a clip that does not decode.
    """
    decoded = Decoded.of(clip)
    _check(decoded.source, targets)
    frames = decode(decoded)
    try:
        _encode(
            frames,
            decoded.source,
            targets,
            pixels=decoded.pixels,
            frame_bytes=decoded.frame_bytes,
            waits=False,
            sound_of=clip if decoded.has_sound else None,
        )
    finally:
        frames.close()


def add_sound(clip: Path, sound: Path, target: Path, *, source: Source, form: Form) -> None:
    """Copy the pictures of a silent clip in that form, and lay the sound under them.

    `source` is what the clip was made of. Sound that is longer is cut, sound that is shorter is followed by
    silence; that of a cross-faded loop is cross-faded like its pictures. Raises `EngineError`: `encode_failed`
    (ours), `form_impossible` (user) for a form without sound.
    """
    codec = profile_of(form).sound
    if codec is None or not carries_sound(form):
        raise EngineError("form_impossible", f"{_named(form)} has no sound", "user")
    waves = graph.looped_sound(ffmpeg.input(_file(sound)).audio, source, form)
    options = {**profile_of(form).options, **codec.options, "format": profile_of(form).muxer}
    output = ffmpeg.output(
        ffmpeg.input(_file(clip)).video, waves, _file(target), vcodec="copy", acodec=codec.encoder, **options
    )
    try:
        run(output, straight(()))
    except EncoderFailed as error:
        raise failed(error) from error


def _encode(
    frames: Iterable[Buffer],
    source: Source,
    targets: Sequence[Target],
    *,
    pixels: str,
    frame_bytes: int,
    waits: bool,
    sound_of: Path | None = None,
) -> None:
    """`waits` says that whoever makes the frames would have to wait for these targets, and must not."""
    reel = graph.Reel.of(source, targets)
    coming = _counted(frames, source, frame_bytes)
    encoders = [hardware.encoder_of(target.form) for target in targets]
    families = {encoder.family for encoder in encoders if encoder.family}
    run_with = partial(_run, source=source, targets=targets, pixels=pixels, sound_of=sound_of)
    try:
        if not (families or reel.replayed or waits):
            run_with(straight(coming), encoders=encoders)
            return
        order = [*range(source.frames), *reel.replayed]
        with closing(Spool(targets[0].path.parent, frame_bytes)) as spool:
            try:
                run_with(over(spool, coming, order), encoders=encoders)
            except EncoderFailed as error:
                if not families:
                    raise
                hardware.refused(families, str(error))
                # Nothing is lost: what hardware had before it refused is in the spool, the rest is still to come.
                encoders = [hardware.encoder_of(target.form, software=True) for target in targets]
                run_with(over(spool, coming, order), encoders=encoders)
    except EncoderFailed as error:
        raise failed(error) from error


def _run(
    feed: Feed,
    *,
    source: Source,
    targets: Sequence[Target],
    encoders: Sequence[Encoder],
    pixels: str,
    sound_of: Path | None,
) -> None:
    video = ffmpeg.input(
        "pipe:", format="rawvideo", pix_fmt=pixels, video_size=(source.width, source.height), framerate=source.fps
    )
    if pixels != RGB:
        video = video.filter(
            "setparams", colorspace="bt709", color_primaries="bt709", color_trc="bt709", range="tv"
        )
    archives = Archives()
    names = [_name(target, archives) for target in targets]
    sound = ffmpeg.input(_file(sound_of)).audio if sound_of else None
    devices = dict.fromkeys(encoder.devices for encoder in encoders if encoder.devices)
    run(
        graph.outputs(video, sound, source, targets, encoders, names),
        feed,
        options=chain.from_iterable(devices),
        environment=ENVIRONMENT,
        archives=archives,
    )


def _name(target: Target, archives: Archives) -> str:
    is_archive = profile_of(target.form).muxer == "image2pipe"
    return archives.name_for(target.path) if is_archive else _file(target.path)


def _counted(frames: Iterable[Buffer], source: Source, frame_bytes: int) -> Iterator[Buffer]:
    """The frames, which must be as many as the source has, each of the size it says. Raises `EngineError`."""
    count = 0
    for frame in frames:
        if (size := memoryview(frame).nbytes) != frame_bytes:
            raise EngineError("frames_wrong", f"a frame must have {frame_bytes} bytes, but has {size}", "ours")
        if count == source.frames:
            raise EngineError("frames_wrong", f"the clip must have {source.frames} frames, but has more", "ours")
        yield frame
        count += 1
    if count != source.frames:
        raise EngineError("frames_wrong", f"the clip must have {source.frames} frames, but has {count}", "ours")


def _check(source: Source, targets: Sequence[Target]) -> None:
    if not targets:
        raise ValueError("there must be at least one target, but there is none")
    for target in targets:
        try:
            shape_of(source, target.form)
        except ImpossibleForm as error:
            raise EngineError("form_impossible", error.message, "user") from error


def _named(form: Form) -> str:
    return profile_of(form).name + (f" as {form.loop}" if form.loop else "")


def _file(path: Path) -> str:
    # "file:" keeps a name from being taken for a protocol.
    return f"file:{path.resolve()}"
