"""System checks of the installation as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.checks import CheckMessage, Error, register

from mutoscope.env import BASE_DIR
from mutoscope.media import FfmpegMissingError, ffmpeg_executable


@register
def ffmpeg_is_there(**kwargs: Any) -> list[CheckMessage]:
    """Clips cannot be encoded without ffmpeg."""
    try:
        ffmpeg_executable()
    except FfmpegMissingError as error:
        return [Error(str(error), id="mutoscope.E001")]
    return []


@register
def platform_is_no_package(**kwargs: Any) -> list[CheckMessage]:
    """`platform/` is a source root; as a package it would shadow Python's own `platform`."""
    if Path(BASE_DIR / "platform" / "__init__.py").exists():
        return [Error("platform/__init__.py must not exist: it shadows Python's platform", id="mutoscope.E002")]
    return []
