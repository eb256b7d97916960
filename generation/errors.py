"""Why a job was refused or failed."""

from __future__ import annotations

from collections.abc import Iterable

from mutoscope.errors import Conflict, Refusal


class InvalidJob(Refusal):
    """The request does not fit the catalog."""

    code = "invalid"


class IdempotencyMismatch(Conflict):
    """The same idempotency key came with another request."""

    status = 422
    code = "idempotency_mismatch"


class AlreadyEnded(Conflict):
    """The job has ended, so it cannot be cancelled any more."""

    code = "already_ended"


class ModelUnavailable(Conflict):
    """The model is in the catalog, but jobs for it are not taken here now."""

    code = "model_unavailable"


class ImpossibleForm(InvalidJob):
    """A clip cannot have the form that was asked for."""


def one_of(field: str, allowed: Iterable[object], value: object) -> str:
    """The sentence for a value that is none of those allowed."""
    return f"{field} must be one of {', '.join(map(str, allowed))}, but is {str(value)!r}"
