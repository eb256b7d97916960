"""Telling the operators what is a fault of ours: in the log, and by e-mail to `OPERATOR_EMAILS`."""

from __future__ import annotations

import logging
from datetime import timedelta

import redis
from django.core.cache import cache

log = logging.getLogger("mutoscope.alerts")

QUIET = timedelta(hours=1)
"""The same alert is not raised again within this time."""


def alert(subject: str, text: str, *, key: str) -> bool:
    """Tell the operators, unless the same `key` was told lately. Returns whether they were told.

    When Redis, which remembers what was told, is away, they are told once too often rather than not at all.
    """
    try:
        first = cache.add(f"mutoscope:alert:{key}", True, QUIET.total_seconds())
    except redis.RedisError:
        first = True
    if first:
        log.error("%s: %s", subject, text)
    return bool(first)
