"""Marks as pictures: how large, and whether they can be read on anything."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps

from generation.outputs.visible.drawing import HIGHEST, MARGIN, Design, draw, missing_letters
from tests.conftest import PHOTOGRAPH

TEXT = "Made with Mutoscope"


def png(picture: Image.Image) -> bytes:
    target = BytesIO()
    picture.save(target, "PNG")
    return target.getvalue()


def logo(color: str, width: int = 200, height: int = 100) -> bytes:
    """A ring in one colour, see-through but for that."""
    picture = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    ImageDraw.Draw(picture).ellipse((0, 0, width - 1, height - 1), outline=color, width=height // 4)
    return png(picture)


def text(words: str = TEXT, size: float = 0.22, opacity: float = 0.6) -> Design:
    return Design(words, None, size, opacity)


def luminance(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """WCAG's relative luminance of sRGB values between 0 and 255."""
    share = pixels / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ np.array([0.2126, 0.7152, 0.0722]))


def contrast(mark: Image.Image, ground: Image.Image) -> float:
    """How much the mark's lightest and darkest tenths stand out from each other on that ground, as WCAG counts."""
    drawn = ground.convert("RGBA")
    drawn.alpha_composite(mark, (ground.width // 4, ground.height // 2))
    box = (ground.width // 4, ground.height // 2)
    region = np.asarray(drawn.convert("RGB").crop((*box, box[0] + mark.width, box[1] + mark.height)))
    light = np.sort(luminance(region.reshape(-1, 3).astype(np.float64)))
    tenth = max(1, len(light) // 10)
    return float((light[-tenth:].mean() + 0.05) / (light[:tenth].mean() + 0.05))


@pytest.mark.parametrize("ground", ["black", "white", "#808080", "busy"])
@pytest.mark.parametrize(
    ("design", "least"),
    [(text(), 3), (Design("", logo("white"), 0.2, 0.6), 3), (Design("", logo("black"), 0.2, 0.6), 3),
     (Design("", logo("#808080"), 0.2, 0.6), 2.5)],
    ids=["text", "white logo", "black logo", "grey logo"],
)  # fmt: skip
def test_it_can_be_read_on_anything(design: Design, least: float, ground: str) -> None:
    size = (960, 540)
    with Image.open(PHOTOGRAPH) as photograph:
        frame = (
            ImageOps.fit(photograph.convert("RGB"), size) if ground == "busy" else Image.new("RGB", size, ground)
        )
    assert contrast(draw(design, *size), frame) > least


@pytest.mark.parametrize(("width", "height"), [(160, 96), (832, 480), (480, 832), (1920, 1080), (1080, 1920)])
@pytest.mark.parametrize("size", [0.05, 0.22, 1.0])
@pytest.mark.parametrize(
    "design",
    [Design(TEXT, None, 0, 0.6), Design("I", None, 0, 1), Design("W" * 60, None, 0, 1),
     Design("", logo("red", 60, 300), 0, 1), Design("", logo("red", 900, 40), 0, 1)],
    ids=["text", "letter", "long text", "high logo", "wide logo"],
)  # fmt: skip
def test_it_always_fits(width: int, height: int, size: float, design: Design) -> None:
    mark = draw(Design(design.text, design.picture, size, design.opacity), width, height)
    assert mark.height <= round(HIGHEST * height) + 1
    assert mark.width <= width - 2 * round(MARGIN * min(width, height)) + 2


def test_its_size_goes_by_the_frame() -> None:
    for width, height in ((832, 480), (1280, 720), (1920, 1080)):
        assert draw(text(), width, height).width == pytest.approx(0.22 * width, rel=0.06)
        assert draw(Design("", logo("red"), 0.2, 1), width, height).width == pytest.approx(0.2 * width, rel=0.06)


def test_text_is_never_too_small_to_be_read() -> None:
    assert draw(text(size=0.05), 320, 180).height >= 12


def test_opacity_is_how_much_is_seen() -> None:
    alphas = [np.asarray(draw(text(opacity=opacity), 640, 360))[..., 3].max() for opacity in (0.1, 0.6, 1.0)]
    assert alphas == [26, 153, 255]


def test_letters_that_the_font_lacks_are_known() -> None:
    assert missing_letters("Zoë & Ωmega – Жук © 2026") == []
    assert missing_letters("東京 and 東") == ["東", "京"]
