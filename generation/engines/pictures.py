"""Stills as engines take them: decoded, opaque, RGB."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from generation.engines.base import EngineError


def read_picture(file: Path, width: int, height: int) -> Image.Image:
    """The still as RGB, reduced to no less than twice a `width` × `height` frame.

    Transparent pictures are laid on white. Raises `EngineError` (blame: user) when the file does not decode.
    """
    try:
        with Image.open(file) as image:
            image.draft("RGB", (2 * width, 2 * height))
            factor = min(image.width // (2 * width), image.height // (2 * height))
            small = image.reduce(factor) if factor > 1 else image
            if small.mode == "RGBA":
                white = Image.new("RGBA", small.size, "white")
                small = Image.alpha_composite(white, small)
            return small.convert("RGB")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise EngineError(
            "image_unreadable",
            f"image must be a readable picture file, but {file.name} is not: {error}",
            "user",
        ) from error


def framed_picture(file: Path, width: int, height: int) -> Image.Image:
    """The middle of the still that fills a `width` × `height` frame, in just that size.

    Raises `EngineError` (blame: user) when the file does not decode.
    """
    return ImageOps.fit(read_picture(file, width, height), (width, height), Image.Resampling.LANCZOS)
