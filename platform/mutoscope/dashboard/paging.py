"""Long lists, newest first, a page at a time. Keys sort by creation, so a key is a place in the list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import QueryDict

from mutoscope.errors import NotFound

PAGE = 24

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows, and the query string that asks for those after them ("" where there are none)."""

    rows: list[Row]
    more: str


def page_of(rows: QuerySet[Row], query: QueryDict) -> Page[Row]:
    """The rows below `?before=<key>`, or the newest ones. Raises `NotFound` for what is no key."""
    before = query.get("before")
    if before:
        rows = rows.filter(pk__lt=_as_key(rows.model, before))
    found = list(rows[: PAGE + 1])
    if len(found) <= PAGE:
        return Page(found, "")
    onward = query.copy()
    onward["before"] = str(found[PAGE - 1].pk)
    return Page(found[:PAGE], onward.urlencode())


def _as_key(model: type[Model], text: str) -> object:
    try:
        return model._meta.pk.to_python(text)
    except ValidationError as error:
        raise NotFound(f"{text!r} is not the id of anything") from error


def as_id(text: str) -> UUID:
    """The id that somebody put into an address. Raises `NotFound` where it is none."""
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound(f"{text!r} is not the id of anything") from error
