"""Real clips in a library: made here by ffmpeg, stored as uploads and finished jobs are."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ffmpeg
import numpy as np
from django.core.files.base import ContentFile

from assets.models import Asset
from generation.models import VisibleMark
from generation.outputs.encoding import MASTER, Source, Target, encode
from mutoscope.accounts.models import Workspace
from mutoscope.media import ffmpeg_executable

SOURCE = Source(160, 96, 8, 16)


def frames(source: Source = SOURCE) -> Iterator[bytes]:
    """A grey picture with a bright bar that moves."""
    for index in range(source.frames):
        frame = np.full((source.height, source.width, 3), 90, np.uint8)
        frame[:, index * 4 : index * 4 + 8] = 200
        yield frame.tobytes()


def made(folder: Path, *, with_sound: bool = False) -> Path:
    """A finished clip of two seconds."""
    path = folder / "made.mp4"
    encode(frames(), SOURCE, [Target(path, MASTER)])
    if with_sound:
        silent = folder / "silent.mp4"
        shutil.move(path, silent)
        tone = ffmpeg.input("sine=frequency=440:duration=2", format="lavfi")
        both = ffmpeg.output(ffmpeg.input(str(silent)).video, tone.audio, str(path), vcodec="copy", acodec="aac")
        both.run(cmd=ffmpeg_executable(), quiet=True, overwrite_output=True)
    return path


def clip_in(
    workspace: Workspace, folder: Path, *, marked: bool = False, with_sound: bool = False, **more: Any
) -> Asset:
    """A clip in the library; where it is marked, with another file than its master."""
    content = made(folder, with_sound=with_sound).read_bytes()
    facts: dict[str, Any] = {
        "workspace": workspace, "kind": "video", "origin": "generated", "name": "coffee-still.mp4",
        "media_type": "video/mp4", "uploaded_type": "video/mp4", "size_bytes": len(content), "sha256": "0" * 64,
        "width": SOURCE.width, "height": SOURCE.height, "seconds": SOURCE.seconds, "fps": SOURCE.fps,
    }  # fmt: skip
    clip = Asset(**{**facts, **more})
    if marked:
        clip.is_marked = True
        clip.master.save("master.mp4", ContentFile(content), save=False)
        content += b"\0\0\0\x08free"  # another file, whose pictures are the same
    clip.file.save("clip.mp4", ContentFile(content), save=False)
    clip.save(force_insert=True)
    return clip


def own_mark(workspace: Workspace, **wishes: Any) -> VisibleMark:
    """A mark of the workspace's, on."""
    return VisibleMark.objects.create(
        workspace=workspace, **{"text": "Alice & Co", "size": 0.5, "opacity": 1.0} | wishes
    )
