"""A mark as a picture that can be laid on frames: to be read on black, on white and on all between."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from io import BytesIO
from math import ceil

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont, ImageStat

HIGHEST = 0.25
"""Height of a mark at most, as a share of the frame's: two of them always find room beside each other."""
MARGIN = 0.03
"""Between a mark and the frame's edges, as a share of the frame's shorter side."""
SMALLEST_LETTERS = 12
"""Pixels of a letter's em below which nobody can read it: text is larger than asked for rather than smaller."""
VERSION = 1
"""Of how marks look: another one is another mark, so that clips kept in other forms are made anew."""
_HALO = 0.08
"""Width of the halo, as a share of an em of text or of the shorter side of a picture."""
_HALO_STRENGTH = 5
_FONT = "static/unfold/fonts/inter/Inter-SemiBold.woff2"
"""Inter, by the SIL Open Font License 1.1, as django-unfold ships it: Latin, Greek and Cyrillic letters."""
_TRIAL = 100
"""Pixels of an em at which text is measured."""
_PRIVATE = "\U000f0000"
"""A character that no font has a sign for: what its box looks like is what missing signs look like."""
_DARK = 128
"""Mean grey below which a mark gets a light halo, and from which on a dark one."""


@dataclass(frozen=True, slots=True)
class Design:
    """What a mark looks like: `picture` (PNG), else `text`; `size` is a share of the frame's width."""

    text: str
    picture: bytes | None
    size: float
    opacity: float


def draw(design: Design, width: int, height: int) -> Image.Image:
    """The mark for frames of `width` × `height` pixels: RGBA, opacity baked in, never larger than fits.

    Raises OSError where the design's picture is no picture.
    """
    margin = margin_of(width, height)
    across = min(round(design.size * width), width - 2 * margin)
    down = round(HIGHEST * height)
    if design.picture is not None:
        shape = _of_picture(design.picture, across, down)
        halo = _HALO * min(shape.size) / 2
    else:
        shape, em = _of_text(design.text, across, width - 2 * margin, down)
        halo = _HALO * em
    return _faded(_with_halo(shape, max(1, ceil(halo))), design.opacity)


def margin_of(width: int, height: int) -> int:
    """Pixels between a mark and the frame's edges."""
    return round(MARGIN * min(width, height))


def missing_letters(text: str) -> list[str]:
    """The characters of the text that the font has no sign for, each once."""
    font = _font(_TRIAL)
    blank = _ink(font, _PRIVATE)
    return [letter for letter in dict.fromkeys(text) if not letter.isspace() and _ink(font, letter) == blank]


@lru_cache(maxsize=8)
def _font(em: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(BytesIO(files("unfold").joinpath(_FONT).read_bytes()), em)


def _ink(font: ImageFont.FreeTypeFont, letter: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(letter)
    return mask.size, bytes(mask)


def _of_text(text: str, across: int, widest: int, down: int) -> tuple[Image.Image, int]:
    """White text about `across` pixels wide, and pixels of its em; at most `widest` × `down`, halo included."""
    room = 1 + 2 * _HALO  # of the halo, above and below, by ems of text that is one em high
    long = _font(_TRIAL).getlength(text) / _TRIAL + 2 * _HALO
    em = max(across / long, SMALLEST_LETTERS)
    em = max(1, int(min(em, widest / long, down / (room * 1.25))))
    font = _font(em)
    left, top, right, bottom = font.getbbox(text)
    shape = Image.new("RGBA", (ceil(right - left), ceil(bottom - top)), (255, 255, 255, 0))
    ImageDraw.Draw(shape).text((-left, -top), text, font=font, fill=(255, 255, 255, 255))
    return shape, em


def _of_picture(data: bytes, across: int, down: int) -> Image.Image:
    with Image.open(BytesIO(data)) as opened:
        picture = opened.convert("RGBA")
    seen = picture.getchannel("A").getbbox()
    picture = picture.crop(seen)
    halo = 1 + _HALO
    scale = min(across / (picture.width * halo), down / (picture.height * halo))
    size = max(1, int(picture.width * scale)), max(1, int(picture.height * scale))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _with_halo(shape: Image.Image, halo: int) -> Image.Image:
    """The shape with a soft edge around it that is light where the shape is dark, and dark where it is light."""
    framed = Image.new("RGBA", (shape.width + 2 * halo, shape.height + 2 * halo), (0, 0, 0, 0))
    framed.paste(shape, (halo, halo))
    alpha = framed.getchannel("A")
    spread = alpha.filter(ImageFilter.GaussianBlur(halo / 2)).point(lambda value: min(255, value * _HALO_STRENGTH))
    grey = ImageStat.Stat(shape.convert("L"), mask=shape.getchannel("A")).mean[0]
    around = Image.new("RGBA", framed.size, (255, 255, 255, 0) if grey < _DARK else (0, 0, 0, 0))
    around.putalpha(ImageChops.lighter(spread, alpha))
    return Image.alpha_composite(around, framed)


def _faded(picture: Image.Image, opacity: float) -> Image.Image:
    picture.putalpha(picture.getchannel("A").point(lambda value: round(value * opacity)))
    return picture
