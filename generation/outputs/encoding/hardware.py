"""Who encodes: the format's software encoder, or one of the machine's graphics processor.

An encoder that ffmpeg lists need not work: the driver, the chip or the right to use it may be missing. So each is
tried once a process, with a few frames. `VIDEO_ENCODERS` says which may be used.
"""

from __future__ import annotations

import functools
import logging
import subprocess
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from generation.outputs.encoding.forms import Form, preset_of, profile_of
from mutoscope.media import ffmpeg_executable

SOFTWARE, AUTO = "software", "auto"
TRIAL_SECONDS = 20.0
REST_SECONDS = 600.0
"""So long is a graphics processor left alone that has refused to encode."""
SLOW_CODECS = frozenset({"hevc", "av1"})
"""What `auto` looks for hardware for. H.264 in software is faster than frames are made, and gives the same bytes
everywhere: masters and clips in the default form stay reproducible."""

log = logging.getLogger(__name__)
_resting: dict[str, float] = {}


@dataclass(frozen=True, slots=True)
class Encoder:
    """One of ffmpeg's encoders, as it is to be called. `family` is empty for software."""

    name: str
    options: Mapping[str, Any]
    pix_fmt: str = ""
    family: str = ""
    filters: tuple[tuple[str, ...], ...] = ()
    devices: tuple[str, ...] = ()
    """Global options that open the device."""


@dataclass(frozen=True, slots=True)
class Family:
    """The encoders of one kind of hardware. `quality` is the option that keeps the quality constant."""

    name: str
    encoders: Mapping[str, str]
    quality: str
    options: Mapping[str, Any] = field(default_factory=dict)
    pix_fmt: str = "yuv420p"
    filters: tuple[tuple[str, ...], ...] = ()
    devices: tuple[str, ...] = ()


FAMILIES = {
    family.name: family
    for family in (
        Family(
            "nvenc",
            {"h264": "h264_nvenc", "hevc": "hevc_nvenc", "av1": "av1_nvenc"},
            "cq",
            {"preset": "p5", "rc": "vbr", "b:v": 0},
        ),
        Family(
            "qsv",
            {"h264": "h264_qsv", "hevc": "hevc_qsv", "av1": "av1_qsv"},
            "global_quality",
            pix_fmt="nv12",
            devices=("-init_hw_device", "qsv=quick"),
        ),
        Family(
            "vaapi",
            {"h264": "h264_vaapi", "hevc": "hevc_vaapi", "av1": "av1_vaapi"},
            "qp",
            {"rc_mode": "CQP"},
            pix_fmt="",
            filters=(("format", "nv12"), ("hwupload",)),
            devices=("-init_hw_device", "vaapi=va", "-filter_hw_device", "va"),
        ),
        Family("videotoolbox", {"h264": "h264_videotoolbox", "hevc": "hevc_videotoolbox"}, "q:v"),
    )
}
"""In the order in which they are tried."""


def encoder_of(form: Form, *, software: bool = False) -> Encoder:
    """The encoder for that form on this machine; `software` leaves hardware out."""
    profile, preset = profile_of(form), preset_of(form)
    if not software and preset.hardware is not None:
        for name in _allowed(profile.codec):
            found = _of_family(FAMILIES[name], form)
            if found and _resting.get(name, 0.0) < time.monotonic() and works(found):
                return found
    options = {**profile.tuning, **preset.options}
    return Encoder(profile.encoder, options, pix_fmt=preset.pix_fmt or profile.pix_fmt)


def refused(families: Collection[str], said: str) -> None:
    """Leave these families alone for a while: one of them did not encode what it was given."""
    log.warning("%s did not encode a clip, which is encoded in software: %s", ", ".join(sorted(families)), said)
    for family in families:
        _resting[family] = time.monotonic() + REST_SECONDS


def works(encoder: Encoder) -> bool:
    """Whether the encoder really encodes here; tried once a process."""
    return _trial(encoder.name, encoder.pix_fmt, encoder.filters, encoder.devices)


@functools.cache
def _trial(name: str, pix_fmt: str, filters: tuple[tuple[str, ...], ...], devices: tuple[str, ...]) -> bool:
    chain = ",".join("=".join((filter_, ":".join(arguments))).rstrip("=") for filter_, *arguments in filters)
    command = [
        ffmpeg_executable(), "-nostdin", "-hide_banner", "-loglevel", "error", *devices,
        "-f", "lavfi", "-i", "testsrc2=size=256x256:rate=24", "-frames:v", "8",
        *(("-vf", chain) if chain else ()), *(("-pix_fmt", pix_fmt) if pix_fmt else ()),
        "-c:v", name, "-f", "null", "-",
    ]  # fmt: skip
    try:
        run = subprocess.run(command, capture_output=True, timeout=TRIAL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        log.info("video encoder %s: no answer in %g s", name, TRIAL_SECONDS)
        return False
    said = run.stderr.decode(errors="replace").strip().splitlines()
    log.info("video encoder %s: %s", name, "works" if run.returncode == 0 else f"no ({said[0] if said else '?'})")
    return run.returncode == 0


def _allowed(codec: str) -> tuple[str, ...]:
    wanted: list[str] = settings.VIDEO_ENCODERS
    if wanted == [SOFTWARE]:
        return ()
    if wanted == [AUTO]:
        return tuple(FAMILIES) if codec in SLOW_CODECS else ()
    return tuple(wanted)


def _of_family(family: Family, form: Form) -> Encoder | None:
    name = family.encoders.get(profile_of(form).codec)
    if name is None:
        return None
    options = {**family.options, family.quality: preset_of(form).hardware}
    return Encoder(name, options, family.pix_fmt, family.name, family.filters, family.devices)
