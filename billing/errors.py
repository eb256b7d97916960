"""Why something that costs is refused. Each names the limit, its value, what was asked, and when that changes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mutoscope.errors import Conflict, Refusal


class LimitReached(Refusal):
    """A limit of the plan is used up for now. `details`: `limit`, `allowed`, `used`, `asked`, `resets_at`."""

    status = 429
    code = "limit_reached"

    def __init__(
        self,
        message: str,
        *,
        limit: str,
        allowed: float,
        used: float,
        asked: float = 1,
        resets_at: datetime | None = None,
        retry_after: int | None = None,
        field: str = "",
    ) -> None:
        self.retry_after = retry_after  # type: ignore[misc]  # of this refusal
        details: dict[str, Any] = {"limit": limit, "allowed": allowed, "used": used, "asked": asked}
        super().__init__(message, field=field, **details, resets_at=resets_at and resets_at.isoformat())


class NotInPlan(Refusal):
    """The plan does not have it, however long one waits. `details`: `limit`, `allowed`, `asked`."""

    status = 403
    code = "not_in_plan"


class InsufficientCredits(Refusal):
    """The workspace has fewer credits than the job costs. `details`: `available`, `needed`, `resets_at`."""

    status = 402
    code = "insufficient_credits"


class LedgerRefusal(Conflict):
    """What an operator asked of the ledger cannot be entered."""

    code = "ledger"
