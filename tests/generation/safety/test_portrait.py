"""The portrait check over a real face: Eileen Collins by NASA (public domain), as she is and changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import override_settings
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from generation.safety.portrait.base import FaceFigures, Figures, Portrait, Verdict
from generation.safety.portrait.check import check
from generation.safety.portrait.rules import MOST_CONTRAST, MOST_YAW, judge
from tests.conftest import BASE_DIR, PHOTOGRAPH

PHOTOGRAPHS = BASE_DIR / "var" / "photographs" / "skimage" / "data"
ASTRONAUT = PHOTOGRAPHS / "astronaut.png"
HEAD = (120, 10, 328, 218)


def astronaut() -> Image.Image:
    with Image.open(ASTRONAUT) as picture:
        return picture.convert("RGB")


def head() -> Image.Image:
    return astronaut().crop(HEAD).resize((768, 768), Image.Resampling.LANCZOS)


def shaded(picture: Image.Image, factor: float) -> Image.Image:
    """The half right of the nose, with so much of its brightness."""
    dark = ImageEnhance.Brightness(picture).enhance(factor)
    middle = picture.width // 2
    picture = picture.copy()
    picture.paste(dark.crop((middle, 0, *picture.size)), (middle, 0))
    return picture


def pair() -> Image.Image:
    both = Image.new("RGB", (1536, 768))
    both.paste(head(), (0, 0))
    both.paste(ImageOps.mirror(head()), (768, 0))
    return both


def drawn() -> Image.Image:
    picture = Image.new("RGB", (600, 600), "white")
    ImageDraw.Draw(picture).rectangle((150, 150, 450, 450), fill="teal")
    return picture


def looked(picture: Image.Image, tmp_path: Path) -> Portrait:
    path = tmp_path / "picture.png"
    picture.save(path)
    return check(path)


def codes(portrait: Portrait) -> set[str]:
    return {reason.code for reason in portrait.reasons}


def test_a_good_portrait(tmp_path: Path) -> None:
    portrait = looked(head(), tmp_path)
    assert portrait.verdict == Verdict.GOOD, portrait.reasons
    face = portrait.figures.face
    assert face
    assert portrait.figures.faces == 1
    left, _, width, height = face.box
    assert left < 768 * 0.5 < left + width
    assert face.head[0] < left
    assert face.head[3] > height
    assert abs(face.yaw) < 5
    assert face.inside == pytest.approx(1, abs=0.01)
    assert face.share == pytest.approx(width * height / 768**2, rel=0.02)


@pytest.mark.parametrize(
    ("make", "refused"),
    [
        (drawn, {"no_face"}),
        (lambda: Image.new("RGB", (512, 512)), {"no_face"}),
        (pair, {"several_faces"}),
        (lambda: head().resize((200, 200)), {"picture_too_small"}),
        (lambda: astronaut().resize((256, 256)), {"face_too_small"}),
        (lambda: head().crop((400, 0, 768, 768)), {"cut_off"}),
        (lambda: shaded(head(), 0.3), {"harsh_shadow"}),
        (lambda: ImageEnhance.Brightness(head()).enhance(0.2), {"too_dark"}),
        (lambda: ImageEnhance.Brightness(head()).enhance(2.5), {"overexposed"}),
    ],
    ids=["drawing", "black", "pair", "small", "far", "cut", "shaded", "dark", "burnt"],
)  # fmt: skip
def test_what_will_not_do(make: Callable[[], Image.Image], refused: set[str], tmp_path: Path) -> None:
    portrait = looked(make(), tmp_path)
    assert portrait.verdict == Verdict.REFUSED
    assert {reason.code for reason in portrait.refusals} == refused


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (astronaut, "face_small"),
        (lambda: head().resize((400, 400)), "picture_small"),
        (lambda: head().filter(ImageFilter.GaussianBlur(14)), "blurred"),
        (lambda: head().rotate(-30, fillcolor="gray"), "tilted"),
        (lambda: shaded(head(), 0.7), "uneven_light"),
    ],
    ids=["far", "small", "blurred", "tilted", "shaded"],
)
def test_what_had_better_be_otherwise(make: Callable[[], Image.Image], code: str, tmp_path: Path) -> None:
    portrait = looked(make(), tmp_path)
    assert portrait.verdict == Verdict.USABLE, portrait.reasons
    assert code in codes(portrait)


@pytest.mark.parametrize("name", ["chelsea.png", "rocket.jpg", "coffee.png"])
def test_what_has_no_face(name: str) -> None:
    assert "no_face" in codes(check(PHOTOGRAPHS / name))


def test_the_cameraman_is_turned_away() -> None:
    assert "turned_away" in codes(check(PHOTOGRAPHS / "camera.png"))


def face_of(picture: Image.Image, tmp_path: Path) -> FaceFigures:
    found = looked(picture, tmp_path).figures.face
    assert found
    return found


@pytest.mark.parametrize("angle", [-20, -10, 10, 20])
def test_roll_is_the_angle_that_a_picture_is_turned_by(angle: int, tmp_path: Path) -> None:
    level = face_of(head(), tmp_path)
    turned = face_of(head().rotate(-angle, fillcolor="gray"), tmp_path)
    assert turned.roll - level.roll == pytest.approx(angle, abs=3)
    assert turned.yaw - level.yaw == pytest.approx(0, abs=5)


def test_a_mirrored_face_looks_the_other_way(tmp_path: Path) -> None:
    with Image.open(PHOTOGRAPHS / "camera.png") as picture:
        straight = face_of(picture, tmp_path)
        mirrored = face_of(ImageOps.mirror(picture), tmp_path)
    assert straight.yaw > MOST_YAW
    assert mirrored.yaw < -MOST_YAW
    ahead = face_of(head(), tmp_path)
    assert face_of(ImageOps.mirror(head()), tmp_path).yaw == pytest.approx(-ahead.yaw, abs=3)


def test_large_pictures_are_told_of_in_their_own_pixels(tmp_path: Path) -> None:
    small, large = face_of(head(), tmp_path), face_of(head().resize((3072, 3072)), tmp_path)
    assert large.box[3] == pytest.approx(small.box[3] * 4, rel=0.03)


def test_transparency_and_grey_are_read(tmp_path: Path) -> None:
    for mode in ("RGBA", "L"):
        assert looked(head().convert(mode), tmp_path).figures.faces == 1


def figures(**changes: float) -> Figures:
    plain = dict.fromkeys(FaceFigures.__slots__, 0.0) | {"inside": 1.0, "contrast": 1.0, "light": 0.3}
    box = (0, 0, 300, 400)
    face = FaceFigures(**{**plain, "sharpness": 1.0, "pitch": 10.0, **changes, "box": box, "head": box})
    return Figures(1024, 1024, 1, face)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"yaw": MOST_YAW}, {"turned": "advise"}),
        ({"yaw": -MOST_YAW - 1}, {"turned_away": "refuse"}),
        ({"contrast": MOST_CONTRAST}, {"uneven_light": "advise"}),
        ({"contrast": MOST_CONTRAST + 0.1}, {"harsh_shadow": "refuse"}),
        ({"contrast": 3, "black": 0.06}, {"harsh_shadow": "refuse"}),
        ({"pitch": 40}, {"nodding": "advise"}),
        ({"light": 0.05}, {"dark": "advise"}),
        ({"burnt": 0.2}, {"bright": "advise"}),
        ({"inside": 0.9}, {"tight": "advise"}),
    ],
)  # fmt: skip
def test_the_bounds(changes: dict[str, float], expected: dict[str, str]) -> None:
    portrait = judge(figures(**changes))
    assert {reason.code: reason.severity for reason in portrait.reasons} == expected


def test_a_rule_says_its_value() -> None:
    [reason] = judge(figures(yaw=-41.2)).reasons
    assert reason.message == "the face may be turned aside by at most 30°, but is by 41°"


def test_what_is_kept_comes_back_as_it_was(tmp_path: Path) -> None:
    portrait = check(PHOTOGRAPH)
    assert Portrait.from_kept(portrait.as_kept()) == portrait
    portrait = looked(head(), tmp_path)
    assert Portrait.from_kept(portrait.as_kept()) == portrait


def test_without_its_models_it_says_what_to_do(tmp_path: Path) -> None:
    from generation.safety.portrait import networks  # noqa: PLC0415

    with (
        override_settings(PORTRAIT_MODELS=str(tmp_path)),
        pytest.raises(FileNotFoundError, match="make setup-portrait"),
    ):
        networks.model_file("face_landmark")
