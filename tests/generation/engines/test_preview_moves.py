"""How the preview engine reads prompts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generation.engines.preview.moves import Shot, read_shot

DEFAULT = "push+ drift+"

CAMERA_TALK = [
    *(
        "no",
        "not",
        "push",
        "in",
        "out",
        "pan",
        "left",
        "right",
        "tilt",
        "up",
        "zoom",
        "roll",
        "the",
        "camera",
    ),
    *("a", "slow", "very", ",", ".", "and", "or", "then", "while"),
]


def written(shot: Shot) -> str:
    """A shot in short: moves with the sign of their direction, steps parted by a bar."""
    return " | ".join(
        " ".join(f"{move.kind.value.replace(' ', '-')}{'+' if move.direction > 0 else '-'}" for move in step)
        for step in shot.steps
    )


ASKED = [
    ("slow push in", "push+"),
    ("A cat. Slow dolly-in.", "push+"),
    ("camera dollies forward", "push+"),
    ("the camera moves closer to the cup", "push+"),
    ("a slow, gentle push toward the cup", "push+"),
    ("pushing in on her eyes very slowly", "push+"),
    ("We move forward through the forest", "push+"),
    ("Ken Burns effect", "push+"),
    ("pull back quickly", "push-"),
    ("camera pulls back to reveal the city", "push-"),
    ("Dolly out", "push-"),
    ("zooms out gradually", "zoom-"),
    ("Zoom in on the face", "zoom+"),
    ("crash zoom", "zoom+"),
    ("zoom", "zoom+"),
    ("pans to the left", "pan-"),
    ("[Pan right]", "pan+"),
    ("pan from left to right", "pan+"),
    ("fast whip pan to the right", "pan+"),
    ("the camera turns left", "pan-"),
    ("A woman walks on the beach slow pan left", "pan-"),
    ("tilt the camera up", "tilt+"),
    ("tilt-down", "tilt-"),
    ("dutch roll clockwise", "roll+"),
    ("roll the camera counter-clockwise", "roll-"),
    ("truck right", "truck+"),
    ("dolly left", "truck-"),
    ("camera slides slowly to the left", "truck-"),
    ("tracking shot of a runner", "truck+"),
    ("pedestal up", "pedestal+"),
    ("the camera moves down", "pedestal-"),
    ("crane shot rising", "crane+"),
    ("crane down", "crane-"),
    ("Camera: rises", "crane+"),
    ("descending drone shot", "crane-"),
    ("arc around the subject", "orbit+"),
    ("orbit left", "orbit-"),
    ("the camera orbits around the cup clockwise", "orbit-"),
    ("camera circles the cup counterclockwise", "orbit+"),
    ("smooth 360 orbit shot", "orbit+"),
    ("vertigo effect", "dolly-zoom+"),
    ("dolly zoom", "dolly-zoom+"),
    ("dolly in while zooming out", "dolly-zoom-"),
    ("dolly out, zoom in", "dolly-zoom+"),
    ("hand-held feel", "handheld+"),
    ("shaky cam", "handheld+"),
    ("locked-off shot", "locked+"),
    ("the camera holds perfectly still", "locked+"),
    ("static", "static+"),
    ("the camera remains static", "static+"),
    ("static shot with a slight drift", "drift+"),
    ("drifting camera", "drift+"),
]

TOGETHER = [
    ("push in while panning left", "push+ pan-"),
    ("the camera slowly pushes in and pans left", "push+ pan-"),
    ("The camera glides forward through the hall and tilts up", "push+ tilt+"),
    ("The camera pushes in, rising slowly", "push+ crane+"),
    ("subtle handheld push in", "handheld+ push+"),
    ("static shot with a slow zoom in", "zoom+"),
    ("push in, then pan right", "push+ | pan+"),
    ("pan left then right", "pan- | pan+"),
    ("zoom in, then slowly pull back", "zoom+ | push-"),
    ("push in before tilting up", "push+ | tilt+"),
]

FORBIDDEN = [
    ("no zoom, pan left", "pan-"),
    ("instead of zooming, pan right", "pan+"),
    ("no push in, pull out instead", "push-"),
    ("no zoom, pan, tilt or roll; orbit left", "orbit-"),
    ("no camera shake and slow push in", "push+"),
    ("don't zoom or pan but tilt up slowly", "tilt+"),
    ("the camera does not pan but tilts up", "tilt+"),
    ("no camera movement except a slow pan left", "pan-"),
    ("camera moves left without zooming", "truck-"),
    ("push in, no zoom", "push+"),
    ("not too fast push in", "push+"),
    ("not static, dolly in", "push+"),
    ("without panning", DEFAULT),
    ("avoid camera shake", DEFAULT),
    ("the camera moves without shaking", DEFAULT),
    ("no zoom", "drift+"),
    ("no zoom or pan", "drift+"),
    ("not zooming", "drift+"),
    ("no pushing in and no drifting", "locked+"),
    ("don't move the camera", "locked+"),
    ("The camera doesn’t move", "locked+"),
    ("no camera movement", "locked+"),
]

NOT_THE_CAMERA = [
    "",
    "cinematic, 4k, golden hour",
    "a chef shakes a frying pan",
    "a frying pan left on the stove",
    "A crane stands in water",
    "he cranes his neck up",
    "a bread roll on a table",
    "waves roll left onto the beach",
    "a kayak rolls right",
    "rolling hills at dawn",
    "her hat tilts up",
    "a man in a tilted hat",
    "a tilt-shift photograph",
    "a nurse pushes the door",
    "the nurse pushes in a trolley",
    "a child pulls back the curtain",
    "A car zooms past",
    "a zoom call on a laptop",
    "planets orbit the sun",
    "a satellite in orbit",
    "A truck left the yard",
    "Tracks left in the snow",
    "steam rises from the coffee",
    "a boat drifts left",
    "the woman turns left",
    "a handheld console on a desk",
    "TV static",
    "a spinning top",
    "a slow-motion shot of a dog rolling left",
]


@pytest.mark.parametrize(("prompt", "expected"), ASKED + TOGETHER)
def test_reads_what_is_asked(prompt: str, expected: str) -> None:
    shot = read_shot(prompt)
    assert written(shot) == expected
    assert not shot.default


@pytest.mark.parametrize(("prompt", "expected"), FORBIDDEN)
def test_respects_what_is_forbidden(prompt: str, expected: str) -> None:
    assert written(read_shot(prompt)) == expected


@pytest.mark.parametrize("prompt", NOT_THE_CAMERA)
def test_leaves_other_movement_alone(prompt: str) -> None:
    shot = read_shot(prompt)
    assert written(shot) == DEFAULT
    assert shot.default


def test_a_camera_word_settles_what_is_ambiguous() -> None:
    assert written(read_shot("waves roll in as the camera rolls clockwise")) == "roll+"
    assert written(read_shot("smoke rises as the camera rises")) == "crane+"
    assert written(read_shot("the camera pushes in, rising steam")) == "push+"


@pytest.mark.parametrize(
    ("prompt", "negative", "expected"),
    [
        ("zoom in", "zoom", "drift+"),
        ("zoom in and pan left", "zooming, blurry", "pan-"),
        ("dolly zoom", "no zoom", "drift+"),
        ("zoom in", "zoom out", "zoom+"),
        ("handheld push in", "shaky, low quality", "push+"),
        ("push in", "camera movement", "locked+"),
        ("push in", "static, motion blur", "push+"),
    ],
)
def test_the_negative_prompt_forbids(prompt: str, negative: str, expected: str) -> None:
    assert written(read_shot(prompt, negative)) == expected


@pytest.mark.parametrize(
    ("prompt", "speeds"),
    [
        ("push in", [1.0]),
        ("slow push in", [0.6]),
        ("very slow push in", [0.36]),
        ("push in, slowly", [0.6]),
        ("gentle pan left", [0.5]),
        ("rapid pan left", [1.5]),
        ("a dramatic zoom in", [1.5]),
        ("fast pan left, very slow zoom in", [1.5, 0.36]),
        ("a slow push in and a fast pan left", [0.6, 1.5]),
        ("push in quickly while panning left", [1.5, 1.0]),
        ("a fast car drives by, push in", [1.0]),
        ("a slow-motion splash, push in", [1.0]),
        ("extremely fast pan left", [2.2]),
    ],
)
def test_reads_speed_words_near_their_move(prompt: str, speeds: list[float]) -> None:
    assert [move.speed for move in read_shot(prompt).moves] == pytest.approx(speeds, abs=0.06)


def test_says_which_words_it_understood() -> None:
    assert [move.words for move in read_shot("A cat; then we push in while panning left").moves] == [
        "push in",
        "panning left",
    ]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200), st.text(max_size=60))
def test_any_text_is_a_shot(prompt: str, negative: str) -> None:
    assert read_shot(prompt, negative).moves


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(CAMERA_TALK), max_size=20))
def test_any_string_of_camera_words_is_a_shot(words: list[str]) -> None:
    shot = read_shot(" ".join(words))
    assert shot.moves
    assert not any(ban.covers(move) for ban in shot.bans for move in shot.moves)
