"""What is to be expected of a job, as people say it: its place in the line, how long it takes, what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from generation.estimates import Clip, Estimate
from generation.forecast.outlook import Outlook
from generation.forecast.pace import Span
from generation.models import Job
from generation.outputs.encoding import MASTER, Form, profile_of

MINUTE, HOUR, DAY = 60, 3600, 86400
_UNITS = [(DAY, "days"), (HOUR, "h"), (MINUTE, "min"), (1, "s")]


def expectation(job: Job, outlook: Outlook | None) -> str:
    """A line such as: 3rd in line, about 2 min (1–4 min). Empty where there is nothing to expect."""
    if outlook is None:
        return ""
    if job.state in Job.HELD:
        return f"{about(outlook.ends_in)} left" if outlook.ends_in else ""
    if job.state == Job.State.SCHEDULED and job.not_before:
        return f"Not before {job.not_before:%-d %B, %H:%M} UTC"
    if outlook.position is None:
        return ""
    parts = [_place(outlook)]
    if outlook.ends_in:
        parts.append(about(outlook.ends_in))
    obstacle = _obstacle(outlook)
    return f"{', '.join(parts)}. {obstacle}" if obstacle else ", ".join(parts)


MISSING = {
    "picture": "Choose a picture, and you are told here what the clip comes to.",
    "last_picture": "Choose what it ends on, and you are told here what the clip comes to.",
    "prompt": "Write a prompt, and you are told here what the clip comes to.",
}
"""What is said while a field is still empty that the model needs."""


@dataclass(frozen=True, slots=True)
class EstimateWords:
    """An estimate in three short lines; or why there is none."""

    made: str = ""
    wait: str = ""
    price: str = ""
    refusal: str = ""


def of_estimate(estimate: Estimate) -> EstimateWords:
    """What is made and delivered, when it would be there, what it costs."""
    return EstimateWords(
        made=made(estimate.engine, estimate.clip, estimate.form), wait=_wait(estimate), price=_price(estimate)
    )


def made(engine: Clip, clip: Clip, form: Form) -> str:
    """Such as: The engine makes 1280 × 736 × 97 frames; you get 1280 × 720, 4 s, as WebM (VP9)."""
    got = f"{clip.width} × {clip.height}, {clip.seconds:g} s"
    if form.fps:
        got += f" at {form.fps} frames a second"
    if form.format != MASTER.format:
        got += f", as {profile_of(form).name}"
    if (engine.width, engine.height, engine.frames) == (clip.width, clip.height, clip.frames):
        return f"You get {got}: {clip.frames} frames, just as the engine makes them."
    return f"The engine makes {engine.width} × {engine.height} × {engine.frames} frames; you get {got}."


def _wait(estimate: Estimate) -> str:
    outlook = estimate.outlook
    if outlook.position is None or not outlook.ends_in:
        needs = f"Takes the engine {about(estimate.engine_seconds)}, once it begins"
        obstacle = _obstacle(outlook)
        return f"{needs}. {obstacle}" if obstacle else needs
    return f"Done in {about(outlook.ends_in)} · {_place(outlook)}"


def _price(estimate: Estimate) -> str:
    """Such as: 12 credits of 88; or: 12 credits, but only 8 are left."""
    amount, left = estimate.credits, estimate.credits_available
    if not amount:
        return "Free"
    price = in_credits(amount)
    if left is None:
        return price
    return (
        f"{price} of {left:,}"
        if amount <= left
        else f"{price}, but only {left:,} {'is' if left == 1 else 'are'} left"
    )


def in_credits(amount: int) -> str:
    """Such as: 1 credit, 2,000 credits."""
    return f"{amount:,} credit{'' if amount == 1 else 's'}"


def lines(recipe: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A recipe as names and values to read, what is nested one after the other."""
    found: list[tuple[str, str]] = []
    for key, value in sorted(recipe.items()):
        name = str(key).replace("_", " ")
        if isinstance(value, Mapping):
            found += [(f"{name} · {inner}", text) for inner, text in lines(value)]
        elif value not in (None, "", [], {}):
            found.append((name, _text(value)))
    return found


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, Mapping):
        return " ".join(text for _, text in lines(value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _place(outlook: Outlook) -> str:
    if outlook.throttled:
        limit = outlook.limit
        return f"Held back: your workspace runs {limit} of {limit} jobs" if limit else "Held back by your plan"
    return "Next in line" if outlook.position == 1 else f"{_ordinal(outlook.position or 0)} in line"


def _obstacle(outlook: Outlook) -> str:
    if outlook.pause is not None:
        reason = outlook.pause.reason
        return f"Paused by the operator: {reason}" if reason else "Paused by the operator"
    return "No worker serves this model just now" if outlook.no_worker else ""


def about(span: Span) -> str:
    """A length of time and its range, as exact as it deserves: about 2 min (1–4 min)."""
    likely, low, high = duration(span.likely), duration(span.low), duration(span.high)
    if low == high:
        return f"about {likely}"
    amount, _, unit = low.partition(" ")
    return f"about {likely} ({amount if high.endswith(f' {unit}') else low}–{high})"


def duration(seconds: float) -> str:
    """Seconds in the unit that people would use, to two figures at most: 5 s, 40 s, 3 min, 1.5 h, 2 days."""
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= 1.5 * size), _UNITS[-1])
    amount = seconds / size
    if unit == "s":
        return f"{max(5, 5 * round(amount / 5))} s"
    digits = 1 if amount < 3 and unit != "min" else 0
    return f"{round(amount, digits):g} {unit}"


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
