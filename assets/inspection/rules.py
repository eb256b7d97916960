"""What may be uploaded, and how a refusal is told."""

from dataclasses import dataclass
from enum import StrEnum


class Refusal(StrEnum):
    """Why a file was refused."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    UNSUPPORTED_TYPE = "unsupported_type"
    TYPE_MISMATCH = "type_mismatch"
    TRUNCATED = "truncated"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_SMALL = "too_small"
    ANIMATED = "animated"


class Rejected(Exception):
    """A file that cannot be accepted.

    ``code`` is for programs; ``message`` is a sentence for the person, stating the rule and the value.
    """

    def __init__(self, code: Refusal, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Limits:
    """The operator's limits on uploads, in bytes and pixels.

    ``max_pixels`` can usefully be raised up to twice ``PIL.Image.MAX_IMAGE_PIXELS`` (178 million), where
    Pillow itself refuses.
    """

    max_picture_bytes: int = 64 * 1024**2
    max_video_bytes: int = 512 * 1024**2
    max_audio_bytes: int = 128 * 1024**2
    max_pixels: int = 50_000_000
    max_side: int = 16_384
    min_side: int = 64


def check_bytes(size: int, maximum: int, what: str) -> None:
    """Refuse a file of ``size`` bytes when that is more than ``maximum``; ``what`` is a plural noun."""
    if size > maximum:
        message = f"{what} may have at most {maximum:,} bytes, but this one has {size:,}."
        raise Rejected(Refusal.TOO_LARGE, message)


def check_dimensions(width: int, height: int, limits: Limits) -> None:
    """Refuse a picture whose sides, in pixels, are outside the limits."""
    pixels = width * height
    if pixels > limits.max_pixels:
        message = (
            f"Pictures may have at most {limits.max_pixels:,} pixels, "
            f"but this one has {width:,} × {height:,} = {pixels:,}."
        )
        raise Rejected(Refusal.TOO_MANY_PIXELS, message)
    if max(width, height) > limits.max_side:
        message = (
            f"Pictures may have at most {limits.max_side:,} pixels on a side, "
            f"but this one has {width:,} × {height:,}."
        )
        raise Rejected(Refusal.TOO_MANY_PIXELS, message)
    if min(width, height) < limits.min_side:
        message = (
            f"Pictures must have at least {limits.min_side:,} pixels on each side, "
            f"but this one has {width:,} × {height:,}."
        )
        raise Rejected(Refusal.TOO_SMALL, message)
