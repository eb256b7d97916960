"""The terms that operators block: kept, and looked for in prompts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from generation.models import BlockedTerm
from generation.safety.moderation.base import Action, Finding
from generation.safety.moderation.text import contains, normalise, readings
from mutoscope.accounts.models import User
from mutoscope.errors import Refusal

TERM_LENGTH = 200


class InvalidTerm(Refusal):
    """It cannot be looked for."""

    code = "invalid_term"


class Terms:
    """The moderator `rules`: prompts against the operators' terms. Looks at no pictures."""

    name = "rules 1"

    def prompt(self, text: str) -> Sequence[Finding]:
        return [
            Finding(
                Action(term.action),
                f"it contains {term.term!r}",
                f"the blocked term {term.term!r}" + (f" ({term.note})" if term.note else ""),
            )
            for term in matching(text)
        ]

    def picture(self, path: Path) -> Sequence[Finding]:
        return []


def matching(text: str) -> list[BlockedTerm]:
    """The terms that stand in the text, however they are disguised there. One query."""
    ways = readings(text)
    return [
        term for term in BlockedTerm.objects.filter(is_on=True) if any(contains(way, term.term) for way in ways)
    ]


def block(lines: Iterable[str], *, action: str, note: str, by: User | None) -> list[BlockedTerm]:
    """Block the terms, one a line; those that were before take the action and note. Raises `InvalidTerm`."""
    return [
        BlockedTerm.objects.update_or_create(
            term=term,
            defaults={"action": action, "note": note, "is_on": True},
            create_defaults={"action": action, "note": note, "created_by": by},
        )[0]
        for term in check(lines)
    ]


def check(lines: Iterable[str]) -> list[str]:
    """The terms as they are kept and looked for, each once. Raises `InvalidTerm`."""
    terms = list(dict.fromkeys(_checked(line) for line in lines if line.strip()))
    if not terms:
        raise InvalidTerm("name at least one term, one a line", field="terms")
    return terms


def _checked(line: str) -> str:
    term = normalise(line)
    if len(term) < 2:
        raise InvalidTerm(
            f"a term must have at least two letters or figures, but {line.strip()!r} has {len(term)}",
            field="terms",
        )
    if len(term) > TERM_LENGTH:
        raise InvalidTerm(
            f"a term may have at most {TERM_LENGTH} characters, but one has {len(term)}: {term[:40]}…",
            field="terms",
        )
    return term
