"""How many requests a workspace may make of the API: counted in Redis, by minutes."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from django.core.cache import cache
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from billing.entitlements import entitlements_of
from billing.errors import LimitReached
from mutoscope.accounts.selectors import Access

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which itself imports this module, by the settings

log = logging.getLogger(__name__)

WINDOW = 60
"""Seconds; each begins with a minute of the clock."""


class WorkspaceRate(BaseThrottle):
    """`requests_per_minute` of the plan, for all keys and people of a workspace together.

    DRF's own `SimpleRateThrottle` reads its history and writes it back, so that requests at once pass it together;
    here each is counted by one INCR. Views that are open to everybody (health, schema) are not counted. While
    Redis is away nothing is refused: jobs go on without it, too.
    """

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Count the request, and say in its answer's headers how many are left. Raises `LimitReached`."""
        access = request.auth
        if not isinstance(access, Access):
            return True
        plan = entitlements_of(access.workspace.pk)
        allowed = plan.requests_per_minute
        if allowed is None:
            return True
        now = datetime.now(UTC).timestamp()
        window = int(now // WINDOW)
        try:
            made = _count(access.workspace.pk, window)
        except (RedisError, ValueError) as error:  # a ValueError: Redis has thrown the count out meanwhile
            log.warning("requests could not be counted (they go on uncounted): %s", error)
            return True
        resets_at = datetime.fromtimestamp((window + 1) * WINDOW, UTC)
        left = max(1, round(resets_at.timestamp() - now))
        view.headers |= {
            "RateLimit-Limit": str(allowed),
            "RateLimit-Remaining": str(max(0, allowed - made)),
            "RateLimit-Reset": str(left),
        }
        if made > allowed:
            raise LimitReached(
                f"{plan.source_of('requests_per_minute')} allows {allowed:,} requests a minute, and as many have "
                f"been made; it resets at {resets_at:%H:%M} UTC, in {left} s",
                limit="requests_per_minute", allowed=allowed, used=made - 1, resets_at=resets_at, retry_after=left,
            )  # fmt: skip
        return True


def _count(workspace_id: UUID, window: int) -> int:
    """Count one more. Returns how many there are in the window, this one among them."""
    key = f"requests:{workspace_id}:{window}"
    cache.add(key, 0, 2 * WINDOW)
    return cache.incr(key)
