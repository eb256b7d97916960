"""What a portrait must be, and what it had better be: each rule with its value, in one place.

The bounds of size, yaw and number of faces are those that HunyuanVideo-Avatar asks for; the others were set by the
photographs in docs/portraits.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from generation.safety.portrait.base import FaceFigures, Figures, Portrait, Reason, Severity, Verdict

LEAST_SIDE, ADVISED_SIDE = 256, 512
"""Of the picture, in pixels."""
LEAST_FACE, ADVISED_FACE = 64, 128
"""How high the face is, in pixels."""
MOST_YAW, ADVISED_YAW = 30, 20
"""Degrees to either side."""
LEVEL_PITCH, ADVISED_PITCH = 10, 20
"""Degrees: what faces measure that look straight into the camera, and how far from it they had better be."""
ADVISED_ROLL = 25
"""Degrees to either side."""
MOST_CONTRAST, ADVISED_CONTRAST = 4.0, 2.5
"""Times as much light on one half of the face as on the other."""
MOST_BLACK = 0.05
"""Share of an unevenly lit face that may be plain black: more is a shadow with nothing in it."""
LEAST_INSIDE, ADVISED_INSIDE = 0.85, 0.95
LEAST_LIGHT, ADVISED_LIGHT = 0.03, 0.06
"""Mean luminance, linear: a well exposed face is at 0.15 to 0.5."""
MOST_BURNT, ADVISED_BURNT = 0.4, 0.15
ADVISED_SHARPNESS = 0.01


def judge(figures: Figures) -> Portrait:
    """The verdict on what was measured. Where there is not one face, nothing more is said of it."""
    reasons = tuple(_reasons(figures))
    severities = {reason.severity for reason in reasons}
    verdict = Verdict.GOOD
    if reasons:
        verdict = Verdict.REFUSED if Severity.REFUSE in severities else Verdict.USABLE
    return Portrait(verdict, reasons, figures)


def _reasons(figures: Figures) -> Iterator[Reason]:
    yield from _size(figures)
    if figures.face is None:
        yield _refuse("no_face", "there must be one face in the picture, but none was found")
    elif figures.faces > 1:
        yield _refuse("several_faces", f"there must be one face in the picture, but {figures.faces} were found")
    else:
        yield from _framing(figures.face)
        yield from _pose(figures.face)
        yield from _light(figures.face)


def _size(figures: Figures) -> Iterator[Reason]:
    side, found = min(figures.width, figures.height), f"{figures.width} × {figures.height}"
    if side < LEAST_SIDE:
        rule = f"the picture must be at least {LEAST_SIDE} × {LEAST_SIDE} pixels"
        yield _refuse("picture_too_small", f"{rule}, but is {found}")
    elif side < ADVISED_SIDE:
        rule = f"the picture had better be at least {ADVISED_SIDE} × {ADVISED_SIDE} pixels"
        yield _advise("picture_small", f"{rule}, but is {found}")


def _framing(face: FaceFigures) -> Iterator[Reason]:
    high, inside = face.box[3], face.inside
    if high < LEAST_FACE:
        yield _refuse("face_too_small", f"the face must be at least {LEAST_FACE} pixels high, but is {high}")
    elif high < ADVISED_FACE:
        rule = f"the face had better be at least {ADVISED_FACE} pixels high"
        yield _advise("face_small", f"{rule}, but is {high}: come nearer, or cut the picture to the head")
    if inside < LEAST_INSIDE:
        rule = f"at least {LEAST_INSIDE:.0%} of the face must be in the picture"
        yield _refuse("cut_off", f"{rule}, but it is cut off at {inside:.0%}")
    elif inside < ADVISED_INSIDE:
        yield _advise("tight", f"all of the face had better be in the picture, but {inside:.0%} of it is")


def _pose(face: FaceFigures) -> Iterator[Reason]:
    yaw = round(abs(face.yaw))
    if abs(face.yaw) > MOST_YAW:
        yield _refuse("turned_away", f"the face may be turned aside by at most {MOST_YAW}°, but is by {yaw}°")
    elif abs(face.yaw) > ADVISED_YAW:
        yield _advise("turned", f"the face had better be turned aside by at most {ADVISED_YAW}°, but is by {yaw}°")
    nod = face.pitch - LEVEL_PITCH
    if abs(nod) > ADVISED_PITCH:
        way = "down" if nod > 0 else "up"
        rule = f"the face had better look at most {ADVISED_PITCH}° up or down"
        yield _advise("nodding", f"{rule}, but looks {abs(nod):.0f}° {way}")
    if abs(face.roll) > ADVISED_ROLL:
        rule = f"the head had better be tilted by at most {ADVISED_ROLL}°"
        yield _advise("tilted", f"{rule}, but is by {abs(face.roll):.0f}°")


def _light(face: FaceFigures) -> Iterator[Reason]:
    times = f"{face.contrast:.1f} times"
    if face.contrast > MOST_CONTRAST:
        rule = f"one half of the face may get at most {MOST_CONTRAST:g} times the light of the other"
        yield _refuse("harsh_shadow", f"{rule}, but gets {times}")
    elif face.contrast > ADVISED_CONTRAST and face.black > MOST_BLACK:
        rule = f"at most {MOST_BLACK:.0%} of a face that is lit from one side may be plain black"
        yield _refuse("harsh_shadow", f"{rule}, but {face.black:.0%} is")
    elif face.contrast > ADVISED_CONTRAST:
        rule = f"one half of the face had better get at most {ADVISED_CONTRAST:g} times the light of the other"
        yield _advise("uneven_light", f"{rule}, but gets {times}")
    light, burnt = face.light, face.burnt
    if light < LEAST_LIGHT:
        yield _refuse(
            "too_dark", f"the face must have at least {LEAST_LIGHT:.0%} of full light, but has {light:.1%}"
        )
    elif light < ADVISED_LIGHT:
        rule = f"the face had better have at least {ADVISED_LIGHT:.0%} of full light"
        yield _advise("dark", f"{rule}, but has {light:.1%}")
    if burnt > MOST_BURNT:
        yield _refuse(
            "overexposed", f"at most {MOST_BURNT:.0%} of the face may be plain white, but {burnt:.0%} is"
        )
    elif burnt > ADVISED_BURNT:
        rule = f"at most {ADVISED_BURNT:.0%} of the face had better be plain white"
        yield _advise("bright", f"{rule}, but {burnt:.0%} is")
    if face.sharpness < ADVISED_SHARPNESS:
        rule = f"the face had better be sharp ({ADVISED_SHARPNESS:g} and up)"
        yield _advise("blurred", f"{rule}, but its sharpness is {face.sharpness:.3f}")


def _refuse(code: str, message: str) -> Reason:
    return Reason(code, message, Severity.REFUSE)


def _advise(code: str, message: str) -> Reason:
    return Reason(code, message, Severity.ADVISE)
