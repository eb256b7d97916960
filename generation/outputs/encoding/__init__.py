"""Encoding: frames or clips into the formats that people use, in bounded memory."""

from generation.outputs.encoding.clips import add_sound, convert, encode
from generation.outputs.encoding.facts import check
from generation.outputs.encoding.forms import (
    LOOPS,
    MASTER,
    Form,
    Overlay,
    Shape,
    Source,
    Target,
    carries_sound,
    keeps_up,
    preset_of,
    profile_of,
    serves_as_master,
    shape_of,
)
from generation.outputs.encoding.previews import Previews, previews
from generation.outputs.encoding.profiles import PROFILES, QUALITIES, Profile

__all__ = [
    "LOOPS",
    "MASTER",
    "PROFILES",
    "QUALITIES",
    "Form",
    "Overlay",
    "Previews",
    "Profile",
    "Shape",
    "Source",
    "Target",
    "add_sound",
    "carries_sound",
    "check",
    "convert",
    "encode",
    "keeps_up",
    "preset_of",
    "previews",
    "profile_of",
    "serves_as_master",
    "shape_of",
]
