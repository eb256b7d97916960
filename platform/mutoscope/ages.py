"""Ages as people read them."""

from __future__ import annotations

from datetime import timedelta


def ago(age: timedelta | None) -> str:
    """An age in its largest unit, as in `5 s`, `3 min`, `2 h`, `4 d`; a dash for none."""
    if age is None:
        return "–"
    seconds = max(0, int(age.total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
