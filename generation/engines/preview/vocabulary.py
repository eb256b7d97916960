"""The words people write for camera moves: one table from phrase to move, and the speed words.

Patterns are matched on normalised text: lower case, hyphens turned into spaces, one space between words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, StrEnum


class Kind(StrEnum):
    """What the camera does. The comment says which way direction +1 goes."""

    PUSH = "push"  # towards the subject
    ZOOM = "zoom"  # in
    DOLLY_ZOOM = "dolly zoom"  # dolly out while zooming in: the backdrop looms
    PAN = "pan"  # turns to the right
    TILT = "tilt"  # turns up
    ROLL = "roll"  # clockwise, seen from behind the camera
    TRUCK = "truck"  # travels to the right
    PEDESTAL = "pedestal"  # travels up
    CRANE = "crane"  # travels up, keeping the subject in view
    ORBIT = "orbit"  # travels to the right around the subject
    HANDHELD = "handheld"
    DRIFT = "drift"
    STATIC = "static"  # with a breath of drift, so that it does not look like a frozen file
    LOCKED = "locked"  # not a pixel moves


class Need(Enum):
    """What a phrase needs around it to be about the camera. Inside a negation nothing is needed."""

    NOTHING = 0  # "zoom in", "crane shot": camera talk wherever it stands
    UNCLAIMED = 1  # "tilt up": unless something else does it ("her hat tilts up")
    HINT = 2  # "pan": the camera is named, or a speed word stands right before it ("slow pan")
    CAMERA = 3  # "moves left": the camera is named as the one that does it


@dataclass(frozen=True, slots=True)
class Phrase:
    """A pattern for one move. A group in it named `way` (or `way2`) gives the direction by `WAYS`."""

    kind: Kind
    need: Need
    pattern: re.Pattern[str]
    direction: int = 1
    speed: float = 1.0


def _words(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


WAYS = {
    **dict.fromkeys(_words("in into inward forward closer toward on onto"), 1),
    **dict.fromkeys(_words("out outward back backward away"), -1),
    **dict.fromkeys(("right", "rightward", "left to right"), 1),
    **dict.fromkeys(("left", "leftward", "right to left"), -1),
    **dict.fromkeys(_words("up upward skyward rising ascending"), 1),
    **dict.fromkeys(_words("down downward descending falling lowering"), -1),
}
"""Which sign a direction word stands for; a trailing s ("towards") is dropped before the look-up."""

SPEED_WORDS = {
    **dict.fromkeys(_words("faint faintly imperceptible imperceptibly barely"), 0.3),
    **dict.fromkeys(_words("gentle gently subtle subtly slight slightly soft softly"), 0.5),
    **dict.fromkeys(_words("slow slowly gradual gradually leisurely unhurried creeping calm"), 0.6),
    **dict.fromkeys(_words("fast quick quickly rapid rapidly swift swiftly whip brisk briskly"), 1.5),
    **dict.fromkeys(_words("dramatic dramatically sudden suddenly energetic strong"), 1.5),
    **dict.fromkeys(_words("violent violently extreme"), 2.0),
}
"""How much of the usual amount (1.0) the camera travels; an intensifier squares it ("very slow": 0.36)."""

INTENSIFIERS = _words("very extremely really super ultra so extra")

CAMERA_WORDS = _words(
    "camera cam cameraman shot lens view viewpoint viewer pov perspective frame framing we drone gimbal",
    "steadicam cinematography footage motion movement",
)

FILLERS = _words(
    "a an the and or then is are be it let let's will should to of start starts starting begin begins",
    "smooth smoothly steady steadily cinematic long continuous simple nice beautiful elegant single first",
    "also please add use make do does gracefully seamlessly fluid fluidly from there",
)
"""Words that say nothing about who moves."""

_FORWARD = r"(?P<way>inwards?|into|in|forwards?|closer|towards?|onto|on)"
_BACK = r"(?P<way>outwards?|out|backwards?|back|away)"
_SIDE = r"(?P<way>left to right|right to left|leftwards?|left|rightwards?|right)"
_RISE = r"(?P<way>upwards?|up|downwards?|down|skywards?)"
_CLOCKWISE = r"clock ?wise"
_COUNTER = r"(?:counter|anti) ?clock ?wise"
_CARRIED = r"camera|cam|shot|feel|feeling|look|style|footage|motion|movement|shake|video|effect|vibe|tracking"
_BETWEEN = r" (?:(?:the|camera|shot|to|from|a|bit|little|over|off|\w+ly) )*"
"""What may stand between a verb and its direction: "pans slowly to the left", "tilt the camera up"."""


def _verb(*stems: str) -> str:
    """Any form of the verbs: push, pushes, pushed, pushing; dolly, dollies; move, moving; pan, panned."""
    forms = []
    for stem in stems:
        if stem.endswith(("ly", "ry")):
            forms.append(f"{stem[:-1]}(?:y|ies|ied|ying)")
        elif stem.endswith("e"):
            forms.append(f"{stem[:-1]}(?:e|es|ed|ing)")
        else:
            forms.append(f"{stem}(?:{stem[-1]}?(?:ed|ing)|e?s)?")
    return f"(?:{'|'.join(forms)})"


def _phrase(kind: Kind, need: Need, pattern: str, direction: int = 1, speed: float = 1.0) -> Phrase:
    return Phrase(kind, need, re.compile(rf"\b(?:{pattern})(?!\w)"), direction, speed)


_N, _U, _H, _C = Need.NOTHING, Need.UNCLAIMED, Need.HINT, Need.CAMERA

VOCABULARY: tuple[Phrase, ...] = (
    # Names made of other moves' words come first: an earlier phrase keeps its words from the later ones.
    _phrase(
        Kind.DOLLY_ZOOM, _N, r"(?:dolly|hitchcock|vertigo|contra|trombone) zoom|zolly|vertigo (?:effect|shot)"
    ),
    _phrase(Kind.ROLL, _N, rf"dutch (?:roll|tilt|angle)s? {_COUNTER}", -1),
    _phrase(Kind.ROLL, _N, rf"dutch (?:roll|tilt|angle)s?(?: {_CLOCKWISE})?|canted angle"),
    _phrase(Kind.PUSH, _N, r"ken burns(?: effect)?", speed=0.6),
    # Staying put.
    _phrase(
        Kind.LOCKED,
        _N,
        r"lock(?:ed)? (?:off|down)(?: (?:camera|shot|tripod))?|(?:on|off) a tripod|tripod shot|"
        r"(?:fixed|stationary|motionless|unmoving|locked) (?:camera|shot|frame|framing)",
    ),
    _phrase(
        Kind.LOCKED,
        _N,
        r"(?:camera|shot|frame) (?:(?:is|stays?|remains?|holds?|held|kept|completely|perfectly|absolutely) )*"
        r"(?:still|fixed|stationary|locked|motionless|in place)|hold the camera (?:still|steady)|"
        r"keep the camera (?:still|steady|fixed|in place)",
    ),
    _phrase(Kind.STATIC, _N, r"static (?:camera|shot|frame|framing|composition|view)|still (?:camera|shot)"),
    _phrase(Kind.STATIC, _N, r"camera (?:(?:is|stays?|remains?|\w+ly) )*(?:static|steady)"),
    _phrase(Kind.STATIC, _U, r"static$"),
    # The shake and float of a camera that is carried.
    _phrase(
        Kind.HANDHELD,
        _N,
        rf"hand ?held(?= (?:{_CARRIED}|push|pan|zoom|tilt|dolly|documentary)\b|$)(?: (?:{_CARRIED}))*",
    ),
    _phrase(
        Kind.HANDHELD,
        _N,
        r"(?:shak(?:y|ing)|wobbly|jittery|unsteady) (?:camera|cam|shot|footage)|camera shake",
    ),
    _phrase(Kind.HANDHELD, _C, rf"{_verb('shake', 'wobble', 'jitter', 'sway', 'tremble')}|shaky|shakiness"),
    _phrase(Kind.PUSH, _C, rf"{_verb('drift', 'float')}{_BETWEEN}{_FORWARD}", speed=0.6),
    _phrase(Kind.TRUCK, _C, rf"{_verb('drift', 'float')}{_BETWEEN}{_SIDE}", speed=0.6),
    _phrase(Kind.PEDESTAL, _C, rf"{_verb('drift', 'float')}{_BETWEEN}{_RISE}", speed=0.6),
    _phrase(Kind.DRIFT, _N, r"(?:drifting|floating) (?:camera|shot)|camera drift"),
    _phrase(Kind.DRIFT, _H, _verb("drift")),
    # The lens.
    _phrase(Kind.ZOOM, _N, r"(?:crash|snap|whip) zooms?(?: in)?|punch(?:es)? in", speed=2.0),
    _phrase(Kind.ZOOM, _N, rf"{_verb('zoom')}{_BETWEEN}{_FORWARD}"),
    _phrase(Kind.ZOOM, _N, rf"{_verb('zoom')}{_BETWEEN}{_BACK}"),
    _phrase(
        Kind.ZOOM,
        _N,
        r"(?<!\bon )(?<!\ba )(?:optical |digital |camera )?zoom(?:ing)?"
        r"(?! (?:by|past|along|down|around|across|off|meeting|call|lens))",
    ),
    _phrase(Kind.ZOOM, _H, r"zooms?"),
    # Turning on the spot.
    _phrase(
        Kind.PAN,
        _N,
        rf"(?<!frying )(?<!sauce ){_verb('pan')}{_BETWEEN}{_SIDE}|(?P<way2>left|right)(?:ward)? pan",
    ),
    _phrase(Kind.PAN, _U, r"pan(?:s|ning)? (?:across|around|over|along)|panning (?:shot|camera)"),
    _phrase(Kind.PAN, _C, rf"{_verb('turn', 'rotate', 'swivel', 'look')}{_BETWEEN}{_SIDE}"),
    _phrase(Kind.PAN, _H, r"pan(?:s|ned|ning)?"),
    _phrase(Kind.TILT, _U, rf"{_verb('tilt')}{_BETWEEN}{_RISE}|(?P<way2>up|down)(?:ward)? tilt"),
    _phrase(Kind.TILT, _C, rf"{_verb('look', 'turn', 'pitch')}{_BETWEEN}{_RISE}"),
    _phrase(Kind.TILT, _H, _verb("tilt")),
    _phrase(Kind.ROLL, _U, rf"{_verb('roll')}{_BETWEEN}(?:{_COUNTER}|left)", -1),
    _phrase(Kind.ROLL, _U, rf"{_verb('roll')}{_BETWEEN}(?:{_CLOCKWISE}|right)"),
    _phrase(Kind.ROLL, _C, rf"{_verb('rotate', 'spin', 'turn', 'twist')}{_BETWEEN}{_COUNTER}", -1),
    _phrase(Kind.ROLL, _C, rf"{_verb('rotate', 'spin', 'turn', 'twist')}{_BETWEEN}{_CLOCKWISE}"),
    _phrase(Kind.ROLL, _C, _verb("roll")),
    # Around the subject. Clockwise as a map shows it takes the camera to its own left.
    _phrase(Kind.ORBIT, _U, rf"{_verb('orbit', 'arc')}{_BETWEEN}(?:{_SIDE}|(?P<way2>up)$)"),
    _phrase(Kind.ORBIT, _U, rf"{_verb('orbit', 'arc')}(?: around(?: the \w+)?)? {_COUNTER}"),
    _phrase(Kind.ORBIT, _U, rf"{_verb('orbit', 'arc')}(?: around(?: the \w+)?)? {_CLOCKWISE}", -1),
    _phrase(
        Kind.ORBIT,
        _N,
        r"(?:orbit|orbiting|orbital|arc|arcing|360(?: degree)?)(?: camera)? (?:shot|move|movement)",
    ),
    _phrase(Kind.ORBIT, _U, rf"{_verb('orbit')}(?: around)?|{_verb('arc')} around"),
    _phrase(
        Kind.ORBIT,
        _C,
        rf"{_verb('circle', 'revolve')}(?: around)?(?: the)?(?: (?!counter|anti)\w+)? {_CLOCKWISE}",
        -1,
    ),
    _phrase(Kind.ORBIT, _C, rf"{_verb('circle', 'revolve', 'rotate', 'spin', 'swing')}(?: around)?"),
    # Up and down.
    _phrase(
        Kind.CRANE, _N, r"(?P<way>rising|ascending|descending|falling|lowering) (?:crane|jib|boom|drone) shot"
    ),
    _phrase(
        Kind.CRANE,
        _N,
        r"(?:crane|jib|boom|drone) (?:shot|move|movement) "
        r"(?:(?:that|is|slowly|moving|going) )*"
        r"(?P<way>rising|ascending|descending|falling|lowering|up|down)(?:wards?)?",
    ),
    _phrase(Kind.CRANE, _N, rf"(?:{_verb('crane', 'jib')}|boom(?:s|ing)?){_BETWEEN}{_RISE}"),
    _phrase(Kind.CRANE, _N, r"(?:crane|jib|boom) (?:shot|move|movement)"),
    _phrase(
        Kind.CRANE,
        _C,
        rf"rises?|rising(?= (?:up|over|above|to)\b|$| \w+ly)|{_verb('ascend', 'lift', 'soar')}",
    ),
    _phrase(Kind.CRANE, _C, rf"{_verb('descend', 'lower')}(?: down)?|sink(?:s|ing)?", -1),
    _phrase(Kind.CRANE, _C, r"cranes?"),
    _phrase(Kind.PEDESTAL, _N, rf"(?:pedestal|ped)s?{_BETWEEN}{_RISE}"),
    _phrase(Kind.PEDESTAL, _C, rf"{_verb('move', 'slide', 'glide', 'travel', 'go', 'fly')}{_BETWEEN}{_RISE}"),
    # Sideways.
    _phrase(Kind.TRUCK, _U, rf"(?<!\ba )(?<!\bthe )(?:truck|track|trucking|tracking){_BETWEEN}{_SIDE}"),
    _phrase(Kind.TRUCK, _N, rf"(?:{_verb('dolly')}|strafe|strafing|crab|crabbing){_BETWEEN}{_SIDE}"),
    _phrase(
        Kind.TRUCK,
        _C,
        rf"(?:trucks|tracks|{_verb('move', 'slide', 'glide', 'travel', 'strafe', 'crab', 'fly', 'shift')})"
        rf"{_BETWEEN}{_SIDE}",
    ),
    # Nearer and farther.
    _phrase(Kind.PUSH, _U, rf"{_verb('push')}{_BETWEEN}{_FORWARD}"),
    _phrase(Kind.PUSH, _U, rf"{_verb('pull')}{_BETWEEN}{_BACK}"),
    _phrase(Kind.PUSH, _N, rf"{_verb('dolly')}{_BETWEEN}{_FORWARD}|forward (?:dolly|tracking) shot"),
    _phrase(Kind.PUSH, _N, rf"{_verb('dolly')}{_BETWEEN}{_BACK}"),
    _phrase(Kind.PUSH, _U, rf"track(?:ing)?{_BETWEEN}{_FORWARD}"),
    _phrase(Kind.PUSH, _U, rf"track(?:ing)?{_BETWEEN}{_BACK}"),
    _phrase(
        Kind.PUSH,
        _C,
        rf"(?:tracks|{_verb('move', 'glide', 'fly', 'travel', 'creep', 'go')}){_BETWEEN}{_FORWARD}",
    ),
    _phrase(
        Kind.PUSH, _C, rf"(?:tracks|{_verb('move', 'glide', 'fly', 'travel', 'back', 'go')}){_BETWEEN}{_BACK}"
    ),
    _phrase(Kind.PUSH, _C, rf"{_verb('approach', 'advance')}|closes in"),
    _phrase(Kind.PUSH, _C, rf"{_verb('retreat', 'recede', 'withdraw')}", -1),
    _phrase(Kind.PUSH, _N, r"dolly (?:shot|move|movement)"),
    _phrase(Kind.PUSH, _H, rf"{_verb('push')}|{_verb('dolly')}"),
    _phrase(Kind.PUSH, _H, _verb("pull"), -1),
    _phrase(Kind.TRUCK, _N, r"(?:tracking|trucking|slider|lateral|sideways) (?:tracking )?shot"),
    _phrase(Kind.TRUCK, _C, _verb("track", "truck")),
)
"""Tried from top to bottom; words taken by one phrase are not offered to the next."""
