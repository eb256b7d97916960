"""What the figures of a clip mean: the problems there are, their thresholds with the reasons, and the verdict."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from generation.outputs.quality.figures import Look, Measured

GOOD, DOUBTFUL, BROKEN = "good", "doubtful", "broken"


@dataclass(frozen=True, slots=True)
class Problem:
    """What may be wrong with a clip. `sentence` is for people, and goes on from "the clip"."""

    code: str
    verdict: str
    sentence: str


PROBLEMS = {
    problem.code: problem
    for problem in (
        Problem("black", BROKEN, "is black for the most part"),
        Problem("flat", BROKEN, "shows nothing but one colour for the most part"),
        Problem("striped", BROKEN, "shows nothing but stripes for the most part"),
        Problem("frozen", BROKEN, "does not move, although it was to"),
        Problem("malformed", BROKEN, "does not decode, or not to the size, rate and length that were asked for"),
        Problem("partly_black", DOUBTFUL, "is black for a while"),
        Problem("partly_flat", DOUBTFUL, "shows nothing but one colour for a while"),
        Problem("blank_area", DOUBTFUL, "has a large area without any detail, which the picture has not"),
        Problem("stands_still", DOUBTFUL, "stands still for much of its time"),
        Problem("hardly_moves", DOUBTFUL, "hardly moves, although it was to"),
        Problem("flickers", DOUBTFUL, "flickers"),
        Problem("incoherent", DOUBTFUL, "has no motion that hangs together"),
        Problem("cut", DOUBTFUL, "changes all of a sudden, as if it were cut"),
        Problem("unlike_first_picture", DOUBTFUL, "does not begin with the picture"),
        Problem("unlike_last_picture", DOUBTFUL, "does not end on the last picture"),
    )
}
"""By code, the gravest first."""

MOST = 0.6
"""Share of the frames from which on a fault is the clip's and no fade: one to black and back has less."""
SOME = 0.1
"""Share of the frames that a cinema's fade may take without being a fault."""
BLANK_MORE = 0.3
"""Share of the area without detail, beyond the picture's own. Camera moves over pictures with a bare sky or a
white ground reach 0.15; two fifths that were not decoded are 0.4."""
FROZEN = 0.9
"""Share of the steps without change. The slowest camera move there is changes each step but the first and last
ones, in which it speeds up and brakes; a clip that jumps off its picture and then stands still has 0.98."""
STANDS_STILL = 0.35
"""Share of the clip's time that passes at one stretch without change."""
HARDLY_MOVES = 0.1
"""% of the picture's longer side a second: a pixel of 720p, which nobody sees."""
FLICKERS = 2.5
"""Levels of 255. Camera moves stay below 0.2."""
INCOHERENT = 0.5
"""Share of the picture whose motion agrees forth and back. Fast moves reach down to 0.7; soft noise has 0.1."""
UNLIKE = 0.5
"""SSIM. First frames of camera moves have 0.8 and more; of other pictures most have below 0.4, and only those of
the same tones in the same places have more."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """`verdict` is the gravest of the problems'; `codes` are theirs, the gravest first."""

    verdict: str
    codes: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(PROBLEMS[code] for code in self.codes)

    @property
    def sentence(self) -> str:
        """What is wrong, in a sentence that begins with "the clip"; empty where nothing is."""
        return sentence_of(self.codes)


def sentence_of(codes: Collection[str]) -> str:
    """The problems in a sentence that begins with "the clip"; empty where there are none."""
    told = [PROBLEMS[code].sentence for code in codes if code in PROBLEMS]
    return f"the clip {', and '.join(told)}" if told else ""


def judge(measured: Measured, *, moves: bool, ignore: Collection[str] = ()) -> Judgement:
    """Whether a clip is good, doubtful or broken.

    `moves`: motion was asked for. `ignore` are codes of problems that are none in this model's clips.
    """
    look = _looks(measured.look, measured.picture or Look(0.0, 0.0, 0.0, 0.0))
    found = verdict_on(code for code in look if code not in ignore)
    if found.verdict == BROKEN:  # how nothing moves need not be told
        return found
    more = (code for code in _over_time(measured, moves=moves) if code not in ignore)
    return verdict_on([*found.codes, *more])


def verdict_on(codes: Collection[str] | Iterator[str]) -> Judgement:
    """The judgement on a clip with these problems."""
    found = set(codes)
    ordered = tuple(code for code in PROBLEMS if code in found)
    return Judgement(PROBLEMS[ordered[0]].verdict if ordered else GOOD, ordered)


def _looks(look: Look, picture: Look) -> Iterator[str]:
    """What is wrong with the frames by themselves; what the picture has too is no fault."""
    if not picture.black and look.black >= SOME:
        yield "black" if look.black >= MOST else "partly_black"
    elif not picture.flat and look.flat >= SOME:
        yield "flat" if look.flat >= MOST else "partly_flat"
    if not picture.striped and look.striped >= MOST:
        yield "striped"
    if look.black + look.flat < SOME and look.blank - picture.blank > BLANK_MORE:
        yield "blank_area"


def _over_time(measured: Measured, *, moves: bool) -> Iterator[str]:
    """What is wrong with the frames as a clip of these pictures."""
    if moves:
        yield from _stillness(measured)
    if measured.flicker is not None and measured.flicker > FLICKERS:
        yield "flickers"
    if measured.coherence is not None and measured.coherence < INCOHERENT:
        yield "incoherent"
    if measured.cuts:
        yield "cut"
    if measured.first_frame is not None and measured.first_frame < UNLIKE:
        yield "unlike_first_picture"
    if measured.last_frame is not None and measured.last_frame < UNLIKE:
        yield "unlike_last_picture"


def _stillness(measured: Measured) -> Iterator[str]:
    # Over a picture of one colour, or of stripes, a camera may move and nothing change.
    shows_motion = not (measured.picture and (measured.picture.flat or measured.picture.striped))
    if not shows_motion or measured.dynamic_degree is None:
        return
    if measured.still >= FROZEN:
        yield "frozen"
    elif measured.longest_still > STANDS_STILL * measured.seconds:
        yield "stands_still"
    elif measured.dynamic_degree < HARDLY_MOVES:
        yield "hardly_moves"
