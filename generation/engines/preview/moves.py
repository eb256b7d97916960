"""Reads a prompt as a director would: which camera moves it asks for, how fast, in which order; which not.

Only words about the camera count: a frying pan, a crane in the reeds and a hat that tilts are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from generation.engines.preview.vocabulary import (
    CAMERA_WORDS,
    FILLERS,
    INTENSIFIERS,
    SPEED_WORDS,
    VOCABULARY,
    WAYS,
    Kind,
    Need,
    Phrase,
)

SPEED_RANGE = (0.2, 2.2)


@dataclass(frozen=True, slots=True)
class Move:
    """One camera move: `direction` +1 or -1 as `Kind` says, `speed` a factor, `words` as in the prompt."""

    kind: Kind
    direction: int = 1
    speed: float = 1.0
    words: str = ""


@dataclass(frozen=True, slots=True)
class Ban:
    """A move that the prompt forbids, in one direction or (None) in both."""

    kind: Kind
    direction: int | None = None

    def covers(self, move: Move) -> bool:
        """Whether `move` is forbidden by this. A dolly zoom counts as a zoom."""
        kinds = {move.kind, Kind.ZOOM} if move.kind is Kind.DOLLY_ZOOM else {move.kind}
        return self.kind in kinds and self.direction in (None, move.direction)


@dataclass(frozen=True, slots=True)
class Shot:
    """How a prompt was read: steps one after the other, the moves of a step together; what is forbidden.

    `default` is true when the prompt asked for no move that is allowed, so that the engine chose.
    """

    steps: tuple[tuple[Move, ...], ...]
    bans: tuple[Ban, ...] = ()
    default: bool = False

    @property
    def moves(self) -> tuple[Move, ...]:
        """All moves of all steps, in order."""
        return tuple(move for step in self.steps for move in step)


def read_shot(prompt: str, negative_prompt: str = "") -> Shot:
    """Read the camera moves from a prompt, any text; whatever the negative prompt names is forbidden."""
    bans: list[Ban] = []
    steps: list[tuple[Move, ...]] = []
    camera_held = False
    last: Move | None = None
    for passage in _passages(prompt):
        reading = _read_passage(_completed(passage, last), negated=False)
        bans += reading.bans
        camera_held |= reading.camera_held
        if reading.moves:
            steps.append(reading.moves)
            last = reading.moves[-1]
    for passage in _passages(negative_prompt):
        reading = _read_passage(passage, negated=True)
        bans += reading.bans
        if reading.camera_held:
            camera_held, steps = True, []
    bans = list(dict.fromkeys(bans))
    allowed = tuple(step for step in (_permitted(step, bans) for step in steps) if step)
    if allowed:
        return Shot(allowed, tuple(bans))
    return Shot((_default_moves(bans, camera_held),), tuple(bans), default=not camera_held)


def _permitted(moves: Iterable[Move], bans: list[Ban]) -> tuple[Move, ...]:
    """What is left of moves made together: nothing forbidden, no move twice, no stillness beside a move.

    Dollying one way while zooming the other is a dolly zoom, however it was put.
    """
    kept: dict[Kind, Move] = {}
    for move in moves:
        if not any(ban.covers(move) for ban in bans):
            kept.setdefault(move.kind, move)
    push, zoom = kept.get(Kind.PUSH), kept.get(Kind.ZOOM)
    if push and zoom and push.direction != zoom.direction:
        del kept[Kind.PUSH], kept[Kind.ZOOM]
        kept[Kind.DOLLY_ZOOM] = replace(zoom, kind=Kind.DOLLY_ZOOM, words=f"{push.words}, {zoom.words}")
    moving = tuple(move for move in kept.values() if move.kind not in (Kind.STATIC, Kind.LOCKED))
    return moving or tuple(kept.values())


def _default_moves(bans: list[Ban], camera_held: bool) -> tuple[Move, ...]:
    """A gentle push in with a little drift, less what is forbidden; "no zoom" means no push either."""
    if camera_held:
        return (Move(Kind.LOCKED),)
    push, drift = Move(Kind.PUSH, speed=0.6), Move(Kind.DRIFT)
    no_push = any(ban.covers(move) for ban in bans for move in (push, Move(Kind.ZOOM)))
    return _permitted((drift,) if no_push else (push, drift), bans) or (Move(Kind.LOCKED),)


# --- From text to clauses ---

_REWRITES = (
    (re.compile(r"[’`]"), "'"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"\b(?:slow|slo|fast)[ -]?mo(?:tion)?\b|\btime[ -]?lapse\b|\bstop[ -]motion\b"), "filmed"),
    (re.compile(r"[-–—_/:\s]+"), " "),
    (re.compile(r"\bnot (?:too|so|very|overly) (?:fast|quick|rapid|dramatic)(?:ly)?\b"), "gently"),
)
_NEXT_STEP = re.compile(
    r"[,.;]?\s*\b(?:and then|then|followed by|after that|afterwards|before|next|finally|and ends? with)\b,?"
)
_CLAUSE_END = re.compile(r"([.;!?,()\[\]|]|\b(?:while|whilst|as|but|except|only|just|with)\b)")
_NEGATION = re.compile(
    r"\b(?:no|not|never|without|avoid(?:s|ing)?|zero|neither|nor|cannot|instead of|rather than|free of)\b"
)
_ALL_MOVEMENT = re.compile(
    r"\bcamera(?:'s)? (?:(?:does|should|must|will|do|is|not|never) )*(?:movements?|motions?|moves?|moving)\b|"
    r"\b(?:move|moving|movement of|motion of) (?:the |your |any )?camera\b|\bno (?:movement|motion)$"
)
_PLAIN_DIRECTION = re.compile(r"^ ?(?:back )?(?:to the )?(left|right|up|down|in|out)\b")


@dataclass(frozen=True, slots=True)
class _Reading:
    moves: tuple[Move, ...]
    bans: tuple[Ban, ...]
    camera_held: bool


@dataclass(frozen=True, slots=True)
class _Found:
    """A phrase of the vocabulary where it stands in a clause."""

    phrase: Phrase
    match: re.Match[str]

    @property
    def way(self) -> str | None:
        return next((word for word in self.match.groupdict().values() if word), None)

    @property
    def direction(self) -> int:
        if self.way is None:
            return self.phrase.direction
        return WAYS.get(self.way) or WAYS[self.way.removesuffix("s")]


def _passages(text: str) -> list[str]:
    """The text, normalised, cut where one step of the shot follows another."""
    text = text.lower()
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    return [passage.strip() for passage in _NEXT_STEP.split(text) if passage.strip()]


def _completed(passage: str, last: Move | None) -> str:
    """ "pan left, then right": a step that is only a direction repeats the move before it."""
    if last is None or not _PLAIN_DIRECTION.match(passage):
        return passage
    verb = "dolly" if last.kind is Kind.PUSH else last.kind.value
    return f"{verb} " + _PLAIN_DIRECTION.sub(r"\1", passage)


def _clauses(passage: str) -> list[tuple[str, str]]:
    """Clauses with the mark or word that opened each. One of speed words only joins its neighbour ("pan,
    slowly").
    """
    parts = _CLAUSE_END.split(passage)
    clauses: list[tuple[str, str]] = []
    carried = ""
    for opener, text in zip(["", *parts[1::2]], parts[0::2], strict=True):
        words = text.split()
        if words and all(word in SPEED_WORDS or word in INTENSIFIERS or word in FILLERS for word in words):
            if clauses:
                clauses[-1] = (clauses[-1][0], f"{clauses[-1][1]} {' '.join(words)}")
            else:
                carried = f"{' '.join(words)} "
        elif words:
            clauses.append((opener, carried + " ".join(words)))
            carried = ""
    return clauses


def _negated_spans(clauses: list[tuple[str, str]]) -> list[tuple[int, int]]:
    """For each clause, from where to where it is negated, in characters; (0, 0) is nowhere."""
    spans: list[tuple[int, int]] = []
    for _, text in clauses:
        negator = _NEGATION.search(text)
        spans.append((negator.start(), _negation_end(text, negator.end())) if negator else (0, 0))
    for at, (_, text) in enumerate(clauses):
        if spans[at][1] == len(text) and spans[at] != (0, 0):
            last = _list_end(clauses, at)
            for item in range(at + 1, last + 1):
                spans[item] = (0, len(clauses[item][1]))
    return spans


def _negation_end(text: str, start: int) -> int:
    """ "no shake and slow push in" forbids the shake alone: a directed move after a bare one is asked for."""
    for conjunction in re.finditer(r" and ", text[start:]):
        before, after = text[start : start + conjunction.start()], text[start + conjunction.end() :]
        directed = any(found.way for found in _find(after))
        if directed and not any(found.way for found in _find(before)):
            return start + conjunction.start()
    return len(text)


def _list_end(clauses: list[tuple[str, str]], start: int) -> int:
    """Where the list "no zoom, pan or tilt" ends: at a bare item with "or"; else it is not a list."""
    for at in range(start + 1, len(clauses)):
        opener, text = clauses[at]
        if opener != "," or len(text.split()) > 4 or any(word in WAYS for word in text.split()):
            break
        if re.search(r"\b(?:or|nor)\b", text):
            return at
    return start


# --- From clauses to moves ---


def _read_passage(passage: str, negated: bool) -> _Reading:
    """The moves of one step; with `negated`, everything that it names is forbidden."""
    moves: list[Move] = []
    bans: list[Ban] = []
    camera_held = False
    clauses = _clauses(passage)
    spans = [(0, len(text)) for _, text in clauses] if negated else _negated_spans(clauses)
    for (_, text), (start, end) in zip(clauses, spans, strict=True):
        asked: list[_Found] = []
        for found in _find(text):
            if start <= found.match.start() < end:
                bans.append(Ban(found.phrase.kind, found.direction if found.way else None))
            elif _about_camera(found, text, asked, follows=bool(moves)):
                asked.append(found)
        held = _ALL_MOVEMENT.search(text, 0, end)
        camera_held |= held is not None and held.end() > start
        moves += [_move(found, text) for found in asked]
    return _Reading(tuple(moves), tuple(bans), camera_held)


def _find(text: str) -> list[_Found]:
    """Every phrase in a clause, in the order of the text, no two sharing a word."""
    taken: list[_Found] = []
    for phrase in VOCABULARY:
        for match in phrase.pattern.finditer(text):
            if all(match.end() <= other.match.start() or match.start() >= other.match.end() for other in taken):
                taken.append(_Found(phrase, match))
    return sorted(taken, key=lambda found: found.match.start())


def _about_camera(found: _Found, text: str, accepted: list[_Found], follows: bool) -> bool:
    """Whether a phrase, where it stands, is about the camera (see `Need`).

    `follows`: an earlier clause of the step already moves the camera, so that a clause without anybody in it
    ("..., slowly rising") still speaks of the camera.
    """
    need = found.phrase.need
    before = text[: found.match.start()].split()
    speed_noun = bool(before) and before[-1] in SPEED_WORDS and not before[-1].endswith("ly")
    doer = _doer(text, found, accepted)
    if need is Need.NOTHING or (speed_noun and need in (Need.UNCLAIMED, Need.HINT)):
        return True
    if need is Need.UNCLAIMED:
        return doer != "other"
    if need is Need.HINT:
        # "Pan", "smooth tilt"; but "a pan" is more likely to be on the stove.
        alone = doer == "" and not text[found.match.end() :].strip() and not {"a", "the"} & set(before)
        return doer == "camera" or alone
    named = re.search(r"\bcamera\b", found.match.group()) is not None
    return doer == "camera" or named or (follows and doer == "")


def _doer(text: str, found: _Found, accepted: list[_Found]) -> str:
    """Who moves: "camera", "other", or "" when the clause names nobody before the phrase."""
    start = accepted[-1].match.end() if accepted else 0
    for word in reversed(text[start : found.match.start()].split()):
        joined = word == "and" and accepted  # "glides through the hall and tilts up": still the camera
        if joined or word in CAMERA_WORDS or word.removesuffix("'s") in CAMERA_WORDS:
            return "camera"
        if not (word in FILLERS or word in SPEED_WORDS or word in INTENSIFIERS or word.endswith("ly")):
            return "other"
    return "camera" if accepted else ""


def _move(found: _Found, text: str) -> Move:
    speed = found.phrase.speed * _speed(found, text)
    low, high = SPEED_RANGE
    return Move(found.phrase.kind, found.direction, round(min(max(speed, low), high), 3), found.match.group())


def _speed(found: _Found, text: str) -> float:
    """The factor of the nearest speed word: an adjective up to three words away, an adverb anywhere."""
    before, after = text[: found.match.start()].split(), text[found.match.end() :].split()
    inside = found.match.group().split()
    nearest, factor = 10**6, 1.0
    for words, distance_of in (
        (before, lambda at: len(before) - at),
        (inside, lambda _: 0),
        (after, lambda at: at + 1),
    ):
        for at, word in enumerate(words):
            distance = distance_of(at)
            if word not in SPEED_WORDS or distance >= nearest or (distance > 3 and not word.endswith("ly")):
                continue
            value = SPEED_WORDS[word]
            intense = at > 0 and words[at - 1] in INTENSIFIERS
            nearest, factor = distance, value * value if intense else value
    return factor
