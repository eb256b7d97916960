"""The formats that clips are delivered in, one row each: container, codec, and what each quality means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

THREADS = 4
"""Fixed, and not the machine's: the same frames must give the same bytes wherever they are encoded."""
QUALITIES = ("small", "standard", "best")
BT709: Mapping[str, Any] = MappingProxyType(
    {"colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709", "color_range": "tv"}
)
BITEXACT: Mapping[str, Any] = MappingProxyType({"fflags": "+bitexact", "flags": "+bitexact", "map_metadata": -1})
"""Without a trace of when, where and by which ffmpeg it was made."""
FASTSTART: Mapping[str, Any] = MappingProxyType({"movflags": "+faststart"})
"""Playable while it loads."""


@dataclass(frozen=True, slots=True)
class Preset:
    """What a quality means in a format.

    `hardware` is the constant quality on the encoder's own scale that graphics processors are asked for, so that a
    clip looks about the same; None has no such encoder. `fits` is the longest side in pixels and `max_fps` the
    rate of who asks for neither.
    """

    options: Mapping[str, Any]
    hardware: int | None = None
    pix_fmt: str = ""
    fits: int | None = None
    max_fps: int | None = None
    keeps_up: bool = False
    """It encodes 1080p several times as fast as it plays, on a few cores."""


@dataclass(frozen=True, slots=True)
class SoundCodec:
    """How sound is laid under the pictures; `codec` is how it is called in the finished file."""

    codec: str
    encoder: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Profile:
    """A format; `codec` is how its pictures are called in the finished file, `encoder` who makes them."""

    slug: str
    name: str
    extension: str
    media_type: str
    muxer: str
    codec: str
    encoder: str
    pix_fmt: str
    presets: Mapping[str, Preset]
    tuning: Mapping[str, Any] = field(default_factory=dict)
    """What `encoder` is told in every quality; other encoders do not understand it."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What is told whoever encodes."""
    sound: SoundCodec | None = None
    is_even: bool = True
    """Its colours are halved in width or height, which must be even."""
    min_side: int = 16
    max_side: int = 8192
    max_fps: int = 120

    @property
    def is_video(self) -> bool:
        """Whether it holds bt709 video; else pictures of full-range colours."""
        return self.pix_fmt.startswith("yuv")


AAC = SoundCodec("aac", "aac", {"b:a": "192k", "flags:a": "+bitexact"})
"""AAC of stereo at this rate is hard to tell from what it was made of."""
OPUS = SoundCodec("opus", "libopus", {"b:a": "160k", "ar": 48_000, "flags:a": "+bitexact"})
PCM = SoundCodec("pcm_s16le", "pcm_s16le", {"ar": 48_000, "flags:a": "+bitexact"})

_X265 = f"log-level=error:info=0:pools={THREADS}:frame-threads=2"
_SVT = f"lp={THREADS}"

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        profile.slug: profile
        for profile in (
            Profile(
                "mp4", "MP4 (H.264)", "mp4", "video/mp4", "mp4", "h264", "libx264", "yuv420p",
                presets={
                    "small": Preset({"preset": "medium", "crf": 26}, hardware=28),
                    "standard": Preset({"preset": "veryfast", "crf": 18}, hardware=19, keeps_up=True),
                    "best": Preset({"preset": "medium", "crf": 14}, hardware=15),
                },
                tuning={"threads": THREADS},
                options={**BT709, **BITEXACT, **FASTSTART},
                sound=AAC,
            ),
            Profile(
                "h265", "MP4 (H.265)", "mp4", "video/mp4", "mp4", "hevc", "libx265", "yuv420p",
                presets={
                    "small": Preset({"preset": "fast", "crf": 29}, hardware=31),
                    "standard": Preset({"preset": "fast", "crf": 22}, hardware=24),
                    "best": Preset({"preset": "medium", "crf": 17}, hardware=18),
                },
                tuning={"x265-params": _X265},
                options={"tag:v": "hvc1", **BT709, **BITEXACT, **FASTSTART},
                sound=AAC,
            ),
            Profile(
                "av1", "MP4 (AV1)", "mp4", "video/mp4", "mp4", "av1", "libsvtav1", "yuv420p",
                presets={
                    "small": Preset({"preset": 8, "crf": 42}, hardware=42),
                    "standard": Preset({"preset": 8, "crf": 30}, hardware=32),
                    "best": Preset({"preset": 6, "crf": 20}, hardware=22),
                },
                tuning={"svtav1-params": _SVT},
                options={**BT709, **BITEXACT, **FASTSTART},
                sound=AAC,
                min_side=64,
            ),
            Profile(
                "webm", "WebM (VP9)", "webm", "video/webm", "webm", "vp9", "libvpx-vp9", "yuv420p",
                presets={
                    "small": Preset({"crf": 40, "cpu-used": 4}),
                    "standard": Preset({"crf": 30, "cpu-used": 4}),
                    "best": Preset({"crf": 18, "cpu-used": 3}),
                },
                tuning={"b:v": 0, "deadline": "good", "row-mt": 1, "tile-columns": 2, "threads": THREADS},
                options={**BT709, **BITEXACT},
                sound=OPUS,
            ),
            Profile(
                "prores", "QuickTime (ProRes)", "mov", "video/quicktime", "mov", "prores", "prores_ks",
                "yuv422p10le",
                presets={
                    "small": Preset({"profile:v": "lt"}),
                    "standard": Preset({"profile:v": "hq"}),
                    "best": Preset({"profile:v": "4444"}, pix_fmt="yuv444p10le"),
                },
                tuning={"vendor": "apl0", "threads": THREADS},
                options={**BT709, **BITEXACT, **FASTSTART},
                sound=PCM,
            ),
            Profile(
                "gif", "GIF", "gif", "image/gif", "gif", "gif", "gif", "rgb24",
                presets={
                    "small": Preset({}, fits=320, max_fps=10),
                    "standard": Preset({}, fits=480, max_fps=15),
                    "best": Preset({}),
                },
                tuning={"pix_fmt": "pal8"},
                options={**BITEXACT, "loop": 0},
                is_even=False,
                max_fps=50,  # it counts in hundredths of a second, and players take less than two for ten
            ),
            Profile(
                "webp", "Animated WebP", "webp", "image/webp", "webp", "webp", "libwebp_anim", "bgra",
                presets={
                    "small": Preset({"quality": 55}, fits=480, max_fps=12),
                    "standard": Preset({"quality": 75}, fits=720, max_fps=24),
                    "best": Preset({"quality": 90}),
                },
                tuning={"compression_level": 2},
                options={**BITEXACT, "loop": 0},
                is_even=False,
                max_fps=60,
            ),
            Profile(
                "png", "PNG sequence (ZIP)", "zip", "application/zip", "image2pipe", "png", "png", "rgb24",
                presets={
                    "small": Preset({"compression_level": 6}, fits=960),
                    "standard": Preset({"compression_level": 3}),  # half the work for a twentieth more bytes
                    "best": Preset({"compression_level": 3}),
                },
                tuning={"pred": "mixed", "threads": THREADS},
                options=BITEXACT,
                is_even=False,
            ),
        )
    }
)  # fmt: skip
