"""What the platform says when it will not do something.

Every app raises its own subclasses of `Refusal`; pages and APIs each turn them into their own form in one place
(`mutoscope.api.errors`, `mutoscope.dashboard`). A refusal is always the asker's to mend. Faults of ours are
ordinary exceptions and end as a 500.
"""

from __future__ import annotations

from typing import Any, ClassVar


class Refusal(Exception):
    """A request that will not be carried out, and why.

    `message` states the rule and the value in a sentence for the person; `code` names the rule for programs;
    `field` is the input at fault, if one is; `details` are further facts for programs.
    """

    status: ClassVar[int] = 400
    retry_after: ClassVar[int | None] = None
    """Seconds after which the same request may be taken; None where asking again does not help."""
    code: str = "refused"

    def __init__(self, message: str, *, code: str = "", field: str = "", **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.field = field
        self.details = details


class NotFound(Refusal):
    """No such thing in this workspace: the same answer for what is missing and for what is another's."""

    status = 404
    code = "not_found"


class Forbidden(Refusal):
    """The role or the key's scopes do not allow it."""

    status = 403
    code = "forbidden"


class Conflict(Refusal):
    """The state of things does not allow it now."""

    status = 409
    code = "conflict"
