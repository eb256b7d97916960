"""Whether a request asks for motion, so that a clip without any is broken."""

from __future__ import annotations

import re

_HELD = re.compile(
    r"\b(?:still life photograph|still (?:image|picture|frame|photo(?:graph)?)|freeze[ -]?frame|frozen in time|"
    r"(?:no|without(?: any)?|zero) (?:movement|motion)|motionless|completely still|perfectly still|cinemagraph|"
    r"nothing moves|static (?:image|scene|picture))\b"
)


def asks_for_motion(prompt: str, negative_prompt: str = "") -> bool:
    """Whether something was to move.

    In every mode and of every model it is: a clip was asked for, and not a picture. Only a prompt that holds the
    camera ("static shot", "locked off", "no camera movement"; read as the preview engine reads it) or calls for
    stillness ("motionless", "freeze frame") does not: what else there might move in it, nobody can tell from the
    words.
    """
    # Where pixels are looked at OpenCV is there; whoever only asks for verdicts need not load it.
    from generation.engines.preview.moves import read_shot
    from generation.engines.preview.vocabulary import Kind

    shot = read_shot(prompt, negative_prompt)
    camera_held = not shot.default and all(move.kind in (Kind.STATIC, Kind.LOCKED) for move in shot.moves)
    return not camera_held and not _HELD.search(prompt.lower())
