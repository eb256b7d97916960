"""Finding and driving ffmpeg.

Every file is treated as hostile: only the containers named in ``CONTAINERS`` are opened, by the ``file``
protocol alone, so that no playlist, concat script or session description can make ffmpeg read another
file or reach the network; every run has a deadline and keeps a bounded part of what ffmpeg says.

There is no ffprobe here (the ffmpeg wheel ships without it). What a file holds is read from two places:
ffmpeg's ``framecrc`` output, which lists the timestamp of every packet and is made for machines, and, only
for what that leaves out (pixel format, channels, rotation), the "Stream #" lines of its log.
"""

import functools
import re
import shutil
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import IO, Any

import ffmpeg
import imageio_ffmpeg

CONTAINERS = ("mov", "matroska", "webm", "mp3", "wav", "flac", "ogg", "aac")
"""The demuxers that may open an uploaded file, by ffmpeg's short names."""

MAX_FRAME_PIXELS = 8192 * 8192
"""A stream whose frames are larger is not decoded: its buffers would exhaust the memory."""

_LOG_HEAD = 400
_LOG_ERRORS = 40
_LOG_LINE = 2_000
_NO_TIMESTAMP = -(2**63)

_PACKET = re.compile(rb"^(\d+), *(-?\d+), *(-?\d+), *(\d+), *\d+, *0x")
_HEADER = re.compile(rb"^#(\w+) (\d+): (.*)$")
_CONTAINER = re.compile(r"Input #0, ([\w,]+), from ")
_DECLARED = re.compile(r"  Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)")
_VIDEO = re.compile(r"  Stream #0:\d+.*?: Video: \w+(?: \([^)]*\))*, (\w+)")
_AUDIO = re.compile(r"  Stream #0:\d+.*?: Audio: [^,]+, \d+ Hz, (\d+ channels|[\w.]+)")
_ROTATION = re.compile(r"display ?matrix: rotation of (-?\d+(?:\.\d+)?) degrees", re.IGNORECASE)
_LAYOUTS = {"mono": 1, "stereo": 2, "downmix": 2, "2.1": 3, "3.0": 3, "quad": 4, "4.0": 4, "3.1": 4}


class FfmpegMissingError(RuntimeError):
    """This machine has no ffmpeg: a fault of the installation, not of a file."""


class Fault(Enum):
    """What is wrong with a file."""

    DAMAGED = "damaged"
    UNSUPPORTED = "unsupported"
    OVERDUE = "overdue"


class MediaError(Exception):
    """A file that ffmpeg cannot use; the message is a sentence for the person."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


@dataclass(frozen=True)
class VideoStream:
    """The first video stream; ``width`` and ``height`` are pixels as displayed, after rotation.

    ``fps`` is the average, in frames a second; 0 where a single frame gives no rate.
    """

    codec: str
    pix_fmt: str
    width: int
    height: int
    fps: float
    frames: int


@dataclass(frozen=True)
class AudioStream:
    """The first audio stream; ``sample_rate`` is in hertz."""

    codec: str
    sample_rate: int
    channels: int


@dataclass(frozen=True)
class MediaInfo:
    """What a media file holds.

    ``container`` is ffmpeg's name of the format ("mov,mp4,m4a,3gp,3g2,mj2"); ``duration`` is the end of the
    last packet in seconds, measured and not taken from the header.
    """

    container: str
    duration: float
    video: VideoStream | None
    audio: AudioStream | None


@functools.cache
def ffmpeg_executable() -> str:
    """Path of the system's ffmpeg where there is one, else of the one shipped as a wheel.

    Raises FfmpegMissingError when this machine has neither.
    """
    if system := shutil.which("ffmpeg"):
        return system
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        message = "There is no ffmpeg on this machine: install the system package or imageio-ffmpeg."
        raise FfmpegMissingError(message) from error


def probe(
    path: str | Path, *, strict: bool = False, timeout: float = 60.0, containers: tuple[str, ...] = CONTAINERS
) -> MediaInfo:
    """What the file at ``path`` holds, measured by reading every packet.

    With ``strict`` everything is decoded to the end as well, and a file that is damaged, or shorter than it
    says, is refused. ``timeout`` is in seconds; ``containers`` are those that it may be. Raises MediaError.
    """
    source = untrusted(path, containers)
    streams = [source["V:0?"], source["a:0?"]]  # a capital V leaves out cover pictures
    packets = ffmpeg.output(*streams, "pipe:", format="framecrc", codec="copy")
    if strict:
        decoded = ffmpeg.output(*streams, "pipe:", format="null")
        packets = ffmpeg.merge_outputs(packets, decoded).global_args("-xerror")
    listing = _Packets()
    log = _run(packets, timeout=timeout, on_line=listing.read)
    info = _describe(listing, log)
    if strict:
        _check_complete(info, log)
    return info


def remux_without_metadata(source: str | Path, target: str | Path, *, muxer: str, timeout: float = 60.0) -> None:
    """Copy the first video and the first audio stream of ``source``, undecoded, into a new file ``target``.

    Tags, chapters, cover pictures, subtitles and data tracks (where phones and cameras keep the position)
    stay behind; the rotation is kept. MP4 and MOV files can be played while they load. Raises MediaError.
    """
    streams = untrusted(path=source)
    options: dict[str, Any] = {"format": muxer, "codec": "copy", "map_metadata": -1, "map_chapters": -1}
    if muxer in {"mp4", "mov"}:
        options["movflags"] = "+faststart"
    if muxer == "mp3":
        options |= {"id3v2_version": 0, "write_id3v1": 0}
    output = ffmpeg.output(streams["V:0?"], streams["a:0?"], f"file:{Path(target).resolve()}", **options)
    _run(output.global_args("-y"), timeout=timeout, on_line=lambda line: None)


def frame_as_png(path: str | Path, *, at: float, max_side: int, timeout: float = 60.0) -> bytes:
    """The frame at ``at`` seconds, upright, its longest side at most ``max_side`` pixels, as PNG bytes.

    Raises MediaError, also when there is no frame at that time.
    """
    fit = f"scale='min({max_side},iw)':'min({max_side},ih)':force_original_aspect_ratio=decrease"
    output = ffmpeg.output(
        untrusted(path, ss=at)["V:0"],
        "pipe:",
        format="image2pipe",
        vcodec="png",
        vframes=1,
        vf=fit,
        pix_fmt="rgb24",
    )
    lines: list[bytes] = []
    _run(output, timeout=timeout, on_line=lines.append)
    if not lines:
        raise MediaError(Fault.DAMAGED, f"The file has no frame at {at:.2f} seconds.")
    return b"".join(lines)


def is_faststart(path: str | Path) -> bool:
    """Whether an MP4 or MOV file has its index (``moov``) before its data (``mdat``), so that it can play
    while it loads. False for a file without an index, or of another format.
    """
    with Path(path).open("rb") as file:
        end = file.seek(0, 2)
        position = 0
        while position + 8 <= end:
            file.seek(position)
            header = file.read(16)
            size, kind = struct.unpack(">I4s", header[:8])
            if kind in {b"moov", b"mdat"}:
                return bool(kind == b"moov")
            if size == 1 and len(header) == 16:
                size = struct.unpack(">Q", header[8:])[0]
            if size < 8:  # 0: to the end of the file; anything else below 8 is no box
                return False
            position += size
    return False


@dataclass
class _Track:
    """What framecrc tells of one stream; times are in units of ``time_base`` seconds."""

    facts: dict[bytes, str] = field(default_factory=dict)
    packets: int = 0
    first: int | None = None
    last: int = 0
    end: int = 0

    @property
    def time_base(self) -> float:
        numerator, denominator = self.facts[b"tb"].split("/")
        return int(numerator) / int(denominator)

    @property
    def fps(self) -> float:
        # From start to start: the last frame's length is rounded in Matroska and often missing elsewhere.
        span = (self.last - (self.first or 0)) * self.time_base
        return round((self.packets - 1) / span, 3) if span > 0 else 0.0


class _Packets:
    """Reads framecrc's output line by line, keeping no packet: an hour of sound has many."""

    def __init__(self) -> None:
        self.tracks: dict[int, _Track] = {}

    def read(self, line: bytes) -> None:
        if packet := _PACKET.match(line):
            track = self.tracks[int(packet[1])]
            start, length = int(packet[3]), int(packet[4])
            track.packets += 1
            if start == _NO_TIMESTAMP:
                return
            track.last = max(track.last, start)
            track.first = start if track.first is None else min(track.first, start)
            track.end = max(track.end, start + length)
        elif header := _HEADER.match(line.rstrip()):
            facts = self.tracks.setdefault(int(header[2]), _Track()).facts
            facts[header[1]] = header[3].decode("ascii", "replace")


@dataclass
class _Log:
    """The beginning of ffmpeg's log, where it describes the file, and its first errors."""

    head: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def read(self, pipe: IO[bytes]) -> None:
        while raw := pipe.readline(_LOG_LINE):
            line = raw.decode("utf-8", "replace").rstrip()
            if len(self.head) < _LOG_HEAD:
                self.head.append(line)
            if ("[error]" in line or "[fatal]" in line) and len(self.errors) < _LOG_ERRORS:
                self.errors.append(re.sub(r"^(\[[^\]]*\] )+", "", line))

    def of_input(self) -> str:
        return "\n".join(self.head).partition("\n[info] Output #0,")[0]

    def of_first_output(self) -> str:
        return "\n".join(self.head).partition("\n[info] Output #0,")[2].partition("\n[info] Output #1,")[0]


def untrusted(path: str | Path, containers: tuple[str, ...] = CONTAINERS, **options: Any) -> Any:
    """A file as an input of ffmpeg's that can open nothing else, and no frame that is too large."""
    # "file:" keeps a name such as "concat:a|b" from being taken for a protocol.
    return ffmpeg.input(
        f"file:{Path(path).resolve()}",
        format_whitelist=",".join(containers),
        protocol_whitelist="file",
        max_pixels=MAX_FRAME_PIXELS,
        **options,
    )


def _run(output: Any, *, timeout: float, on_line: Callable[[bytes], object]) -> _Log:
    """Run ffmpeg, feeding each line of its standard output to ``on_line``. Raises MediaError."""
    command = output.global_args("-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+info")
    process = command.run_async(cmd=ffmpeg_executable(), pipe_stdout=True, pipe_stderr=True)
    log = _Log()
    reader = threading.Thread(target=log.read, args=(process.stderr,), daemon=True)
    overdue = threading.Event()

    def stop() -> None:
        overdue.set()
        process.kill()

    deadline = threading.Timer(timeout, stop)
    deadline.start()
    reader.start()
    try:
        for line in process.stdout:
            on_line(line)
        process.wait()
        reader.join()
    finally:
        deadline.cancel()
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()
        process.stdout.close()
        reader.join()
        process.stderr.close()
    if overdue.is_set():
        message = f"Reading the file took longer than {timeout:g} seconds, so it was given up."
        raise MediaError(Fault.OVERDUE, message)
    if process.returncode != 0:
        raise _fault(log.errors)
    return log


def _fault(errors: list[str]) -> MediaError:
    text = " ".join(errors)
    if "whitelist" in text:
        message = "The file is not of a container that is accepted here (MP4, MOV, MKV, WebM or plain audio)."
        return MediaError(Fault.UNSUPPORTED, message)
    if "does not contain any stream" in text:
        return MediaError(Fault.UNSUPPORTED, "The file holds neither video nor sound.")
    reason = errors[0] if errors else "ffmpeg gave no reason"
    message = f"The file cannot be read as video or audio, or is damaged or cut short ({reason[:200]})."
    return MediaError(Fault.DAMAGED, message)


def _describe(listing: _Packets, log: _Log) -> MediaInfo:
    container = _CONTAINER.search(log.of_input())
    if container is None or not any(track.packets for track in listing.tracks.values()):
        raise MediaError(Fault.DAMAGED, "The file holds neither a frame of video nor a packet of sound.")
    video: VideoStream | None = None
    audio: AudioStream | None = None
    for track in listing.tracks.values():
        if track.packets and track.facts.get(b"media_type") == "video":
            video = _video(track, log.of_first_output())
        elif track.packets and track.facts.get(b"media_type") == "audio":
            audio = _audio(track, log.of_first_output())
    return MediaInfo(
        container=container[1],
        duration=max(track.end * track.time_base for track in listing.tracks.values()),
        video=video,
        audio=audio,
    )


def _video(track: _Track, log: str) -> VideoStream:
    width, height = (int(side) for side in track.facts[b"dimensions"].split("x"))
    rotation = _ROTATION.search(log)
    if rotation and round(abs(float(rotation[1]))) % 180 == 90:
        width, height = height, width
    pix_fmt = _VIDEO.search(log)
    return VideoStream(
        codec=track.facts[b"codec_id"],
        pix_fmt=pix_fmt[1] if pix_fmt else "unknown",
        width=width,
        height=height,
        fps=track.fps,
        frames=track.packets,
    )


def _audio(track: _Track, log: str) -> AudioStream:
    layout = _AUDIO.search(log)
    return AudioStream(
        codec=track.facts[b"codec_id"],
        sample_rate=int(track.facts[b"sample_rate"]),
        channels=_channels(layout[1]) if layout else 0,
    )


def _channels(layout: str) -> int:
    """How many channels "stereo", "5.1" or "6 channels" means."""
    if layout in _LAYOUTS:
        return _LAYOUTS[layout]
    return sum(int(part) for part in re.findall(r"\d+", layout))


def _check_complete(info: MediaInfo, log: _Log) -> None:
    """Refuse what ffmpeg plays without complaint although its end is missing."""
    if cut := [line for line in log.errors if re.search("partial file|ended prematurely|truncat", line)]:
        raise MediaError(Fault.DAMAGED, f"The file is cut short ({cut[0][:200]}).")
    if declared := _DECLARED.search(log.of_input()):
        seconds = int(declared[1]) * 3600 + int(declared[2]) * 60 + float(declared[3])
        if info.duration < seconds - max(0.5, seconds * 0.02):
            raise MediaError(
                Fault.DAMAGED,
                f"The file is cut short: it says that it lasts {seconds:.2f} seconds, "
                f"but {info.duration:.2f} seconds of it are there.",
            )
